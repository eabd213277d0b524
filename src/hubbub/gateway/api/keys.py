"""The keys of the API."""

import hmac
from collections.abc import Sequence

from starlette.requests import Request

from hubbub.auth import check_secret


class ApiKeys:
    """Which keys are good: several, so that one can be changed without a stop.

    Args:
        keys: each of at least 32 bytes; none switches the API off.

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

    def accept(self, request: Request) -> bool:
        """Whether the request has a good key in ``X-API-Key`` or ``Authorization: apikey …``."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        shown = request.headers.get("x-api-key") or (value.strip() if scheme.lower() == "apikey" else "")
        # Starlette decodes headers as Latin-1: this gives the bytes back as they came.
        return self.known(shown.encode("latin-1"))

    def known(self, given: bytes) -> bool:
        """Whether this is a good key. It takes the same time whichever it is, and however much is right."""
        return sum(hmac.compare_digest(given, key) for key in self._keys) > 0
