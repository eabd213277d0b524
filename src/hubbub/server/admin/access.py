"""Who may look at the admin page's data, and act: whoever has the admin key, from a page of this server."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request

from hubbub.core.errors import OriginRefused
from hubbub.core.origins import Origins
from hubbub.gateway.http_requests import Refusal
from hubbub.keys import Keys, shown_key

OWN_SITE: Final = ("same-origin", "none")
"""What browsers call a request of this server's own page, or of a person (Fetch Metadata)."""


class AdminAccess:
    """Judges what wants to see or do something.

    The key comes in a header or in a socket's first message, which no other page can make a browser send. A
    cookie or an address that carries one is not looked at.

    Args:
        keys: the good ones, each of at least 32 bytes; without any nobody gets in.

    Raises:
        ConfigurationError: if one is too short.
    """

    __slots__ = ("_keys", "_origins")

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = Keys(keys)
        self._origins = Origins()  # pages of other origins have no business here, whoever else may connect

    def __bool__(self) -> bool:
        return bool(self._keys)

    def knows(self, key: str) -> bool:
        """Whether this is a good key, in constant time."""
        return self._keys.known(key.encode())

    def check(self, request: Request) -> None:
        """Judge a request.

        Raises:
            Refusal: 401 without a good key in ``Authorization: Bearer …``, 403 from a page of another origin,
                415 for a body of another type than JSON.
        """
        if not self._keys.known(shown_key(request.headers, "bearer")):
            raise Refusal(401, "Wrong or missing admin key", {"WWW-Authenticate": "Bearer"})
        self._check_page(request)
        if request.method == "POST":
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Refusal(415, "Content-Type has to be application/json")

    def _check_page(self, request: Request) -> None:
        site = request.headers.get("sec-fetch-site", OWN_SITE[0])
        origin, host = request.headers.get("origin"), request.headers.get("host")
        try:
            if site not in OWN_SITE:
                raise OriginRefused
            self._origins.check(origin, host, secure=request.scope.get("scheme") == "https")
        except OriginRefused:
            raise Refusal(403, "Not from another site") from None
