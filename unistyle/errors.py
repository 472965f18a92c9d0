"""Every error that a user can meet."""

import difflib
from collections.abc import Iterable


class UniStyleError(Exception):
    """Something that a user can put right: the message says what was got, what was wanted and what to do.

    >>> from unistyle import UniStyle, UniStyleError
    >>> try:
    ...     UniStyle.from_pretrained("no/such/file.safetensors")
    ... except UniStyleError as error:
    ...     print(type(error).__name__)
    CheckpointError
    """


class UsageError(UniStyleError, ValueError):
    """A command that cannot be carried out as it was given.

    >>> from unistyle import UsageError
    >>> str(UsageError("give INPUT or --samples"))
    'give INPUT or --samples'
    """


class ImageError(UniStyleError, ValueError):
    """A file or an image that cannot be used, with the reason.

    >>> from unistyle import ImageError, UniStyle
    >>> model = UniStyle.from_pretrained("checkpoints/unistyle-materials.safetensors")
    >>> try:
    ...     model.restyle("README.md", to="stone")
    ... except ImageError as error:
    ...     print("README.md" in str(error))
    True
    """


class CheckpointError(UniStyleError, ValueError):
    """A checkpoint, or a style file, that cannot be found or used, with the reason and what to do.

    >>> from unistyle import CheckpointError, UniStyle
    >>> try:
    ...     UniStyle.from_pretrained("README.md")
    ... except CheckpointError as error:
    ...     print("README.md" in str(error))
    True
    """


class StyleError(UniStyleError, ValueError):
    """Folders that no style can be made of, with the reason and what to do.

    >>> from unistyle import StyleError
    >>> from unistyle.styles.exemplars import style_folders
    >>> try:
    ...     style_folders("no/such/folder")
    ... except StyleError as error:
    ...     print("no/such/folder" in str(error))
    True
    """


class UnknownNameError(UniStyleError, ValueError):
    """A style or a material that the checkpoint does not know.

    >>> from unistyle import UnknownNameError
    >>> print(UnknownNameError("style", "stnoe", ["stone", "wood"]))
    unknown style 'stnoe'. Did you mean 'stone'? This checkpoint knows: stone, wood.
    """

    def __init__(self, kind: str, got: str, known: Iterable[str], hint: str = ""):
        known = sorted(known)
        close = difflib.get_close_matches(got, known, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(
            f"unknown {kind} {got!r}.{guess} This checkpoint knows: {', '.join(known) or 'none'}.{hint}"
        )


class OutputError(UniStyleError):
    """Results cannot be written any more; what is written stays, and the same command goes on from there.

    >>> from unistyle import OutputError, UniStyleError
    >>> issubclass(OutputError, UniStyleError)
    True
    """


class ProcessLostError(UniStyleError, RuntimeError):
    """Another process has ended, so that nothing can be agreed upon any more.

    >>> from unistyle import ProcessLostError, UniStyleError
    >>> issubclass(ProcessLostError, UniStyleError)
    True
    """
