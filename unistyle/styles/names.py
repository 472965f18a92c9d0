"""What styles and exemplars can be called."""

import re
from collections.abc import Iterable

from unistyle.files.folders import same

# What a name must not hold: these mean something in `--to` and `--map`, or cannot be typed.
RESERVED = re.compile(r"[/:,=*\x00-\x1f\x7f-\x9f]")


def check_style_name(name: str) -> None:
    """Raises ValueError, which says why, for a name that a new style cannot have."""
    if not name or name != name.strip():
        reason = "it is empty" if not name.strip() else "it starts or ends with a space"
    elif found := RESERVED.search(name):
        reason = f"{found[0]!r} means something else in --to and --map, or cannot be typed"
    elif name in (".", ".."):
        reason = "it is a folder's"
    else:
        return
    raise ValueError(f"{name!r} cannot be the name of a style: {reason}; wanted a name such as 'old brick'")


def meant(name: str, known: Iterable[str]) -> str | None:
    """Which of the known names is meant: the name itself, in any form of its signs (`same`), or else the only one that
    differs from it in capitals alone. None: there is no such name, or more than one."""
    known = list(dict.fromkeys(known))
    for form in (same, lambda text: same(text).casefold()):
        found = [each for each in known if form(each) == form(name)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def exemplar_name(stem: str) -> str:
    """The name of the exemplar that a photo `stem.jpg` becomes: what a name cannot hold is replaced by `-`."""
    return RESERVED.sub("-", same(stem)).strip() or "photo"
