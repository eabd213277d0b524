"""Taking over a Starlette or FastAPI `WebSocket`, so that the hub and the user's own calls keep one order."""

import logging
from collections.abc import Iterable
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from hubbub.asgi.errors import SocketDisconnected, SocketRefused
from hubbub.asgi.events import Event, header
from hubbub.asgi.listener import Listener
from hubbub.asgi.pump import Pump
from hubbub.asgi.transport import WebSocketTransport
from hubbub.core.errors import CloseCode, Disconnected, OriginRefused
from hubbub.core.limits import Limits
from hubbub.core.messages import Payload
from hubbub.core.origins import Origins

BEARER = "bearer"
"""The subprotocol that carries a token (``bearer, <token>``); the server's answer names only this one."""

USER = "hubbub.user"
"""Where in the scope an auth dependency leaves the `User`."""


_logger = logging.getLogger("hubbub")


class Endpoint(Protocol):
    """What a taken-over WebSocket's own methods are led through."""

    async def receive(self) -> Payload:
        """The next message; raises `Disconnected`."""
        ...

    async def send(self, message: Payload) -> None:
        """Send in order with everything else; raises `Disconnected`."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close; a second time does nothing."""
        ...

    def end(self, code: int, reason: str) -> None:
        """Close without waiting; a second time does nothing."""
        ...

    async def finish(self) -> None:
        """Wait until the close frame is out."""
        ...


def check_origin(websocket: WebSocket, origins: Origins) -> None:
    """Judge the page that opens the socket, before the handshake is accepted.

    Raises:
        SocketRefused: if it may not; Starlette then answers 403.
    """
    if websocket.application_state is not WebSocketState.CONNECTING:
        return
    origin = header(websocket.scope, b"origin")
    if origin is None:
        return  # no page opens it: `Origins.check` would not look further
    host = header(websocket.scope, b"host")
    try:
        origins.check(origin, host, secure=websocket.scope.get("scheme") == "wss")
    except OriginRefused as error:
        # The browser keeps the reason from the page, and the server's own log says 403 and no more.
        _logger.log(
            logging.WARNING if origins.is_news(origin) else logging.INFO,
            "refused a page of the origin %.100r, as the host is %.100r; Hub(origins=[...]) lets others in",
            origin,
            host,
        )
        raise SocketRefused(error) from error


async def accept(
    websocket: WebSocket, subprotocol: str | None = None, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Complete the handshake, unless that was done already."""
    if websocket.application_state is WebSocketState.CONNECTING:
        if subprotocol is None and BEARER in websocket.scope.get("subprotocols", ()):
            subprotocol = BEARER
        await websocket.accept(subprotocol, list(headers))


async def tell(websocket: WebSocket, text: str) -> None:
    """Accept and say something before the route ends, so that a browser sees the close code that follows.

    To a client that has left already nothing is said, now or by whoever closes the socket afterwards.
    """
    try:
        await accept(websocket)
        if websocket.client_state is WebSocketState.CONNECTED:
            await websocket.send_text(text)
            return
    except (WebSocketDisconnect, RuntimeError):
        pass
    _silence(websocket)


async def deny(websocket: WebSocket, why: str, retry_after: int = 1) -> None:
    """Answer the handshake with 503, or with 403 on a server that knows no other answer.

    A socket that was accepted already is told so. Nothing is sent on it afterwards but a close.

    Args:
        websocket: whose handshake.
        why: a sentence for whoever looks.
        retry_after: seconds after which another try makes sense.
    """
    if websocket.application_state is not WebSocketState.CONNECTING:
        await tell(websocket, f'{{"type":"error","msg":"{why}"}}')
        return
    if websocket.client_state is WebSocketState.CONNECTING:
        await websocket.receive()
    if "websocket.http.response" not in websocket.scope.get("extensions", {}):
        return  # whoever catches what is raised next closes it, which is a 403
    body = why.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"%d" % retry_after),
    ]
    await websocket._send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
    await websocket._send({"type": "websocket.http.response.body", "body": body})
    _silence(websocket)


def _silence(websocket: WebSocket) -> None:
    """Let what is still sent by whoever closes the socket go nowhere."""

    async def nothing(event: Event) -> None:
        pass

    websocket._send = nothing


def wants_heartbeat(websocket: WebSocket) -> bool:
    """Whether the client opted in with ``?heartbeat=1``."""
    query: bytes = websocket.scope["query_string"]
    return b"heartbeat=1" in query.split(b"&")


def transport(websocket: WebSocket, limits: Limits, listener: Listener, pump: Pump) -> WebSocketTransport:
    """A transport over the ASGI channels under a `WebSocket`, which Starlette keeps in two attributes."""
    return WebSocketTransport(websocket.scope, websocket._receive, websocket._send, limits, listener, pump)


class _ReceiveEvent(dict[str, Any]):
    """Text where a route wants bytes, or the other way round, ends in 1003 and not in a KeyError.

    The route sees a `WebSocketDisconnect`, which it is ready for, and can do what it does at the end.
    """

    def __init__(self, payload: Payload, endpoint: Endpoint) -> None:
        super().__init__({"type": "websocket.receive", _key(payload): payload})
        self._endpoint = endpoint

    def __missing__(self, key: str) -> Any:
        reason = f"Expected a {'binary' if key == 'bytes' else 'text'} message"
        self._endpoint.end(CloseCode.UNSUPPORTED_DATA, reason)
        raise SocketDisconnected(CloseCode.UNSUPPORTED_DATA, reason)


def _key(payload: Payload) -> str:
    return "bytes" if isinstance(payload, bytes) else "text"


def lead_through(websocket: WebSocket, endpoint: Endpoint) -> None:
    """From now on the WebSocket's own methods go through the endpoint.

    `websocket.send_text()` then keeps its place among the hub's broadcasts, and `websocket.receive_text()`
    learns at once when the hub closes the connection.
    """
    channels = _Channels(endpoint)
    websocket._receive = channels.receive
    websocket._send = channels.send


class _Channels:
    """ASGI's receive and send over an endpoint."""

    __slots__ = ("_endpoint",)

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def receive(self) -> Event:
        try:
            payload = await self._endpoint.receive()
        except Disconnected as error:
            await self._endpoint.finish()
            return {"type": "websocket.disconnect", "code": int(error.code), "reason": error.reason}
        return _ReceiveEvent(payload, self._endpoint)

    async def send(self, event: Event) -> None:
        if event["type"] == "websocket.close":
            await self._endpoint.close(event.get("code", CloseCode.NORMAL), event.get("reason") or "")
            return
        text = event.get("text")
        await self._endpoint.send(event["bytes"] if text is None else text)
