"""What is counted of a run, and which errors end it."""

import errno
from dataclasses import dataclass

# Errors of a folder, not of a photo: every further photo would meet them, and its work be lost.
FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@dataclass
class Counts:
    """Photos by what became of them in this run."""

    written: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return f"{self.written} written, {self.failed} failed"
