"""Which pages may open a socket: the defence against cross-site WebSocket hijacking (RFC 6455 section 10.2).

Browsers send no cookie policy and ask no CORS question for a WebSocket; the Origin header is all there is.
A client that sends none is not a browser and carries no cookies of anybody's.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from hubbub.core.errors import ConfigurationError, OriginRefused

MOST_TOLD = 10
"""Different origins whose first refusal is news."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origins:
    """The same origin (host and port of the Host header), and those on the list.

    Args:
        allowed: exact origins like ``"https://app.example.com"``. ``"*"`` alone allows every page: only for
            data that is public anyway, never together with cookies.

    Raises:
        ConfigurationError: if an entry is not an origin.
    """

    __slots__ = ("_allowed", "_told", "any")

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        entries = [allowed] if isinstance(allowed, str) else list(allowed)
        self.any = "*" in entries
        self._told: set[str] = set()
        self._allowed = {_normal(entry) for entry in entries if entry != "*"}
        if None in self._allowed:
            raise ConfigurationError("An allowed origin looks like 'https://app.example.com' or '*'")
        if any("*" in one[1] for one in self._allowed if one):
            raise ConfigurationError("An allowed origin has no '*' in it: name each one")

    def check(self, origin: str | None, host: str | None, *, secure: bool = False) -> None:
        """Accept or refuse a handshake.

        A Host without a port stands for the default port of the page's own scheme: behind a proxy that
        ends TLS the server may not know its own. Where it knows that it has TLS, the page must have it too.

        Args:
            origin: the Origin header; None where there is none.
            host: the Host header; None where there is none.
            secure: whether the socket is known to be ``wss``.

        Raises:
            OriginRefused: if the page may not connect.
        """
        if origin is None or self.any:
            return
        page = _normal(origin)
        if page is None or not (page in self._allowed or _is_same(page, host, secure)):
            raise OriginRefused("Origin not allowed")

    def is_news(self, origin: str) -> bool:
        """Whether this origin is refused for the first time; of a few only, as a stranger can invent many."""
        if len(self._told) >= MOST_TOLD or origin in self._told:
            return False
        self._told.add(origin)
        return True


def _is_same(page: tuple[str, str, int], host: str | None, secure: bool) -> bool:
    if host is None or (secure and page[0] != "https"):
        return False
    return _normal(f"{page[0]}://{host}") == page


def _normal(origin: str) -> tuple[str, str, int] | None:
    """(scheme, host, port) of an origin; None for ``null`` and whatever else is none (RFC 6454)."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    extra = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    if extra or not parts.scheme or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, _DEFAULT_PORTS.get(parts.scheme, 0) if port is None else port
