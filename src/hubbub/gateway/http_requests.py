"""Requests of clients over plain HTTP: who may, how much, and refusals."""

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from hubbub.core.errors import OriginRefused
from hubbub.gateway.cross_origin import answer_headers, check_page, preflight_headers
from hubbub.hub import Hub


class Refusal(Exception):
    """The request is answered with this status, and not looked at further."""

    def __init__(self, status: int, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers or {}

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """The answer."""
        return Response(
            f"{self}\n", self.status, {**(headers or {}), **self.headers}, media_type="text/plain"
        )


def admit(request: Request, hub: Hub, methods: str) -> Response | None:
    """Judge page and method; returns the answer where that is all there is to the request.

    Args:
        request: of a client.
        hub: knows the pages that may, and counts those that may not.
        methods: allowed ones, like ``"POST, OPTIONS"``.
    """
    scope, origins = request.scope, hub.origins
    try:
        check_page(scope, origins)
    except OriginRefused as error:
        hub.stats.refuse(error)
        return Refusal(403, str(error)).response()
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=preflight_headers(scope, origins, methods))
    if request.method not in methods.split(", "):
        return Refusal(405, "Method not allowed", {"allow": methods}).response(answer_headers(scope, origins))
    return None


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """The body.

    Args:
        request: whose.
        most: bytes that it may have.
        seconds: how long it may take.

    Raises:
        Refusal: 413 if it is larger, as soon as that is known; 408 if it takes longer.
    """
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise Refusal(413, f"More than {most} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    raise Refusal(413, f"More than {most} bytes")
    except TimeoutError:
        raise Refusal(408, "The body took too long", {"connection": "close"}) from None
    except ClientDisconnect:
        raise Refusal(400, "The client has gone") from None
    return bytes(body)
