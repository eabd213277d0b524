"""Keys of HTTP routes, for backends and operators: which are good, and what a request shows."""

import hmac
from collections.abc import Mapping, Sequence

from hubbub.auth import check_secret


class Keys:
    """Keys that requests of HTTP show: several, so that one can be changed without a stop.

    Args:
        keys: the good ones, each of at least 32 bytes.

    Raises:
        ConfigurationError: if one is too short.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[str] | str = ()) -> None:
        given = [keys] if isinstance(keys, str) else list(keys)
        for key in given:
            check_secret(key)
        self._keys = [key.encode() for key in given]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def known(self, given: bytes) -> bool:
        """Whether this is a good key. It takes the same time whichever it is, and however much is right."""
        return sum(hmac.compare_digest(given, key) for key in self._keys) > 0


def shown_key(headers: Mapping[str, str], scheme: str) -> bytes:
    """The key in ``Authorization: <scheme> …``, as its bytes came; empty without one.

    Args:
        headers: of a request; they give bytes as Latin-1, as Starlette does.
        scheme: in lower case.
    """
    named, _, key = headers.get("authorization", "").partition(" ")
    return key.strip().encode("latin-1") if named.lower() == scheme else b""


def shown_api_key(headers: Mapping[str, str]) -> bytes:
    """The key in ``X-API-Key``, or else in ``Authorization: apikey …``."""
    return headers.get("x-api-key", "").encode("latin-1") or shown_key(headers, "apikey")
