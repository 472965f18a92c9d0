"""Every error that a user can meet."""

import difflib
from collections.abc import Iterable


class UniStyleError(Exception):
    """Something that a user can put right: the message says what was got, what was wanted and what to do."""


class UsageError(UniStyleError, ValueError):
    """A command that cannot be carried out as it was given."""


class ImageError(UniStyleError, ValueError):
    """A file or an image that cannot be used, with the reason."""


class CheckpointError(UniStyleError, ValueError):
    """A checkpoint, or a style file, that cannot be found or used, with the reason and what to do."""


class StyleError(UniStyleError, ValueError):
    """Folders that no style can be made of, with the reason and what to do."""


class UnknownNameError(UniStyleError, ValueError):
    """A style or a material that the checkpoint does not know."""

    def __init__(self, kind: str, got: str, known: Iterable[str], hint: str = ""):
        known = sorted(known)
        close = difflib.get_close_matches(got, known, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(
            f"unknown {kind} {got!r}.{guess} This checkpoint knows: {', '.join(known) or 'none'}.{hint}"
        )


class OutputError(UniStyleError):
    """Results cannot be written any more; what is written stays, and the same command goes on from there."""


class ProcessLostError(UniStyleError, RuntimeError):
    """Another process has ended, so that nothing can be agreed upon any more."""
