"""What styles and exemplars can be called."""

import re

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


def exemplar_name(stem: str) -> str:
    """The name of the exemplar that a photo `stem.jpg` becomes: what a name cannot hold is replaced by `-`."""
    return RESERVED.sub("-", stem).strip() or "photo"
