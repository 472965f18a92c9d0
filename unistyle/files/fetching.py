"""Weights that come from the internet."""

from collections.abc import Iterator
from contextlib import contextmanager

# Modules whose errors say that a download failed; torchvision's and most others are an OSError.
CLIENTS = ("httpx", "httpcore", "requests", "urllib3", "huggingface_hub")


@contextmanager
def fetching(what: str, instead: str) -> Iterator[None]:
    """Within it weights are downloaded. Raises ValueError, "WHAT cannot be fetched (REASON); INSTEAD", where that
    fails."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in CLIENTS:
            raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{what} cannot be fetched ({lines[0][:200]}); {instead}") from error
