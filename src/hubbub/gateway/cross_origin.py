"""Which pages may use the endpoints of plain HTTP, and what browsers are told (CORS, Fetch standard)."""

from collections.abc import Mapping
from typing import Final

from hubbub.asgi.events import Scope, header
from hubbub.core.errors import OriginRefused
from hubbub.core.origins import Origins

PREFLIGHT_AGE: Final = "300"
"""Seconds that a browser may remember the answer to a preflight."""


def check_page(scope: Scope, origins: Origins) -> None:
    """Judge the page that a request comes from, as for a WebSocket.

    A browser does not send Origin with every request of another site: an image's has none, and still brings
    cookies. That it comes from another site it tells all the same (Fetch Metadata).

    Raises:
        OriginRefused: if the page is not allowed.
    """
    origin = header(scope, b"origin")
    if origin is None and header(scope, b"sec-fetch-site") in ("cross-site", "same-site"):
        raise OriginRefused("Origin not allowed")
    origins.check(origin, header(scope, b"host"), secure=scope.get("scheme") == "https")


def answer_headers(scope: Scope, origins: Origins) -> dict[str, str]:
    """What an allowed page's browser has to be told, so that the page may read the answer."""
    origin = header(scope, b"origin")
    if origin is None:
        return {"vary": "Origin"}
    if origins.any:  # everybody's data: never together with cookies
        return {"access-control-allow-origin": "*"}
    return {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "vary": "Origin",
    }


def preflight_headers(scope: Scope, origins: Origins, methods: str) -> Mapping[str, str]:
    """The answer to the question whether a page may send such a request."""
    return {
        **answer_headers(scope, origins),
        "access-control-allow-methods": methods,
        "access-control-allow-headers": "content-type",
        "access-control-max-age": PREFLIGHT_AGE,
    }
