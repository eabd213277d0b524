"""Who published: `Publication.publisher` is one text, a name, or more of it behind a mark."""

from typing import Final

import msgspec

from hubbub.core.errors import ConfigurationError

MARK: Final = "\x00"
"""Begins a publisher that is more than a name: JSON with the name in `user`. No name may begin with it."""


class _Named(msgspec.Struct):
    user: str = ""


_decoder = msgspec.json.Decoder(_Named)


def check_publisher(name: str | None) -> None:
    """Raises `ConfigurationError` for a name that begins with `MARK`."""
    if name is not None and name.startswith(MARK):
        raise ConfigurationError("The name of a publisher cannot begin with a null character")


def publisher_name(publisher: str | None) -> str | None:
    """The name in it; None for nobody's, and for somebody's without a name."""
    if publisher is None or not publisher.startswith(MARK):
        return publisher
    try:
        return _decoder.decode(publisher[len(MARK) :]).user or None
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
