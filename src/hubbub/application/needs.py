"""What of an application needs FastAPI, which the library does not."""

from collections.abc import Iterator
from contextlib import contextmanager

from hubbub.core.errors import ConfigurationError


@contextmanager
def needing_fastapi(what: str) -> Iterator[None]:
    """Import what needs it in this block.

    Args:
        what: does; the beginning of a sentence.

    Raises:
        ConfigurationError: if FastAPI is not installed, with the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "fastapi":
            raise
        raise ConfigurationError(f"{what} needs FastAPI: pip install fastapi") from error
