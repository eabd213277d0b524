"""The protocol over WebSockets: a bare ASGI app, without a framework's machinery around it."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qs

from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketState

from hubbub.asgi import sockets
from hubbub.asgi.errors import SocketRefused
from hubbub.asgi.events import Receive, Scope, Send
from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.protobuf_codec import PROTOBUF_CODEC
from hubbub.core.stats import RefusalReason
from hubbub.gateway.attending import attend
from hubbub.gateway.calls import Calls
from hubbub.gateway.client import Client
from hubbub.gateway.everywhere import Everywhere
from hubbub.gateway.service import Service

SUBPROTOCOLS: Final[dict[str, Codec]] = {
    "centrifuge-protobuf": PROTOBUF_CODEC,
    "centrifuge-json": JSON_CODEC,
}
"""The encodings by their subprotocol."""

_CONNECTING: Final = WebSocketState.CONNECTING
_CONNECTED: Final = WebSocketState.CONNECTED


class WebSocketEndpoint:
    """The ASGI app of one route.

    Args:
        service: what all clients share.
        calls: carries out their calls.
        everywhere: knows all clients.
    """

    __slots__ = ("_calls", "_everywhere", "_service")

    def __init__(self, service: Service, calls: Calls, everywhere: Everywhere) -> None:
        self._service = service
        self._calls = calls
        self._everywhere = everywhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client, from handshake to close frame.

        Raises:
            HubNotRunning: outside the hub's lifespan.
        """
        websocket = _Handshake(scope, receive, send)
        if self._service.crowded:
            self._service.hub.stats.refuse(RefusalReason.CAPACITY)
            await sockets.deny(websocket, "Too many clients")
            await websocket.close()  # where there is no other answer, the server answers 403
            return
        subprotocol, codec, native_pings = _choose(scope)
        parts = self._service.hub.parts
        try:
            connection = await parts.reception.open(websocket, heartbeat=False, subprotocol=subprotocol)
        except SocketRefused:  # the page's origin is not allowed, or there is no place
            await websocket.close()  # before the handshake: the server answers 403, unless it has answered
            return
        del websocket  # not kept for the length of the visit
        terms = self._service.native_terms if native_pings else self._service.terms
        client = Client(self._service, parts, self._calls, connection, codec, scope, terms)
        await attend(client, self._service, self._everywhere, "websocket")


class _Handshake(WebSocket):
    """Starlette's class for one use: nobody but the hub sees it, so accepting needs none of its checks."""

    async def accept(
        self, subprotocol: str | None = None, headers: Iterable[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Take the request, which ASGI has come first, and accept it."""
        if self.client_state is _CONNECTING:
            await self._receive()
            self.client_state = _CONNECTED
        event = {"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers or ()}
        await self._send(event)
        self.application_state = _CONNECTED


class Front:
    """Middleware that serves the endpoint before an app's own machinery: about 4 KB less for each client.

    Args:
        app: gets everything else.
        endpoint: serves the clients.
        path: where.
    """

    __slots__ = ("_app", "_endpoint", "_path")

    def __init__(self, app: ASGIApp, *, endpoint: ASGIApp, path: str) -> None:
        self._app = app
        self._endpoint = endpoint
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a client, or pass on."""
        mine = scope["type"] == "websocket" and scope["path"] == self._path
        await (self._endpoint if mine else self._app)(scope, receive, send)


def _choose(scope: Scope) -> tuple[str | None, Codec, bool]:
    """The subprotocol to select, the encoding, and whether the client wants pings of the WebSocket's own."""
    query = parse_qs(scope["query_string"].decode("latin-1")) if scope["query_string"] else {}
    native_pings = query.get("cf_ws_frame_ping_pong") == ["true"]
    for name in scope.get("subprotocols") or ():  # the preferred one first (RFC 6455 section 4.1)
        if name in SUBPROTOCOLS:
            return name, SUBPROTOCOLS[name], native_pings
    return None, PROTOBUF_CODEC if query.get("cf_protocol") == ["protobuf"] else JSON_CODEC, native_pings
