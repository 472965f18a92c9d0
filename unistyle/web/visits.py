"""What the visitors of a page leave on disk, and that it goes when they do."""

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from unistyle.errors import ImageError


@dataclass
class Visit:
    """What is kept while somebody is on the page."""

    folder: Path
    """The folder for all of it."""

    parts: dict[str, Path] = field(default_factory=dict)
    """Folders in it, by their purpose."""

    photo: Path | None = None
    """The photo that was dropped."""

    style: Path | None = None
    """The style photo that was dropped."""

    def renew(self, part: str) -> Path:
        """An empty folder for a part, in place of the older one. Its name is new, because browsers keep what they saw
        at an address."""
        self.remove(part)
        self.parts[part] = Path(tempfile.mkdtemp(dir=self.folder))
        return self.parts[part]

    def remove(self, part: str) -> None:
        """Remove the folder of a part, if it has one."""
        if part in self.parts:
            shutil.rmtree(self.parts.pop(part), ignore_errors=True)


class Visits:
    """The visits that are going on, by the name that the page's server has for each."""

    def __init__(self, root: Path):
        """root: the folder for all that is uploaded and made."""
        self.root = root
        self._visits: dict[str | None, Visit] = {}
        self._taken: dict[str, Path] = {}  # what was dropped -> where it lies now

    def __getitem__(self, name: str | None) -> Visit:
        if name not in self._visits:
            self._visits[name] = Visit(Path(tempfile.mkdtemp(prefix="visit-", dir=self.root)))
        return self._visits[name]

    def take(self, name: str | None, upload: str, part: str) -> Path:
        """Move what was dropped into a part of a visit. Raises ImageError where it is gone."""
        path = self[name].renew(part) / Path(upload).name
        try:
            Path(upload).replace(path)
        except FileNotFoundError:
            self._copy(upload, path)
        self._taken[upload] = path
        with suppress(OSError):  # the folder that Gradio made for it, unless it holds another
            Path(upload).parent.rmdir()
        return path

    def _copy(self, upload: str, path: Path) -> None:
        """Two visits may name one place, if what they dropped is equal: the second has what the first has taken."""
        try:
            shutil.copyfile(self._taken[upload], path)
        except (KeyError, FileNotFoundError):
            raise ImageError(f"{path.name}: it is no longer here; drop it again") from None

    def end(self, name: str | None) -> None:
        """Remove all that a visit has left."""
        if visit := self._visits.pop(name, None):
            shutil.rmtree(visit.folder, ignore_errors=True)
            self._taken = {upload: path for upload, path in self._taken.items() if path.is_file()}
        for path in self.root.glob("tmp*"):  # Gradio makes an empty file for each that is dropped
            if path.is_file() and not path.stat().st_size:
                path.unlink(missing_ok=True)
