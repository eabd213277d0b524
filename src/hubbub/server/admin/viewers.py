"""The sockets of open admin pages: who they are is told in the first message, what they see is pushed."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.websockets import WebSocket

from hubbub.asgi import sockets
from hubbub.asgi.errors import SocketRefused
from hubbub.asgi.events import Receive, Scope, Send
from hubbub.asgi.listener import Listener
from hubbub.asgi.pump import Pump
from hubbub.asgi.transport_contract import Transport
from hubbub.connection import Connection
from hubbub.core.errors import CloseCode, Disconnected
from hubbub.core.limits import Limits
from hubbub.core.messages import Json, Payload, payload_bytes
from hubbub.core.origins import Origins
from hubbub.hub import Hub
from hubbub.server.admin.access import AdminAccess

MAX_VIEWERS: Final = 32
"""Open sockets of admin pages on one node, those that have shown no key yet among them."""

MAX_REQUEST: Final = 8_192
"""Bytes of a message from a page."""

_logger = logging.getLogger("hubbub")


class _Introduction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first message."""

    key: str


_introductions: Final = msgspec.json.Decoder(_Introduction)


class Viewers:
    """An ASGI app for one WebSocket route, and all its sockets on this node.

    They are none of the hub's connections: nothing said to everyone reaches them, and no list shows them.

    Args:
        hub: has to run.
        access: knows the keys.
    """

    def __init__(self, hub: Hub, access: AdminAccess) -> None:
        self._hub = hub
        self._access = access
        self._visitors = 0
        self._viewers: set[Connection] = set()
        self.came: Callable[[Connection], None] | None = None
        """Called with each that has shown a key."""

        self.went: Callable[[Connection], None] | None = None
        """Called when it has gone."""

        self.asked: Callable[[Connection, Payload], None] | None = None
        """Called with what it says after that."""

    def __len__(self) -> int:
        return len(self._viewers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one page, from handshake to close frame."""
        websocket = WebSocket(scope, receive, send)
        if self._visitors >= MAX_VIEWERS or not self._hub.running:
            await _turn_away(websocket)
            return
        self._visitors += 1
        try:
            sockets.check_origin(websocket, Origins())
            await sockets.accept(websocket)
            # Not admitted as a client: an operator gets in when there is no place for clients any more.
            open = partial(_transport, websocket)
            await self._serve(self._hub.parts.reception.adopt(open))
        except SocketRefused:  # a page of another origin
            await websocket.close()  # before the handshake: the server answers 403
        except Disconnected:
            pass
        finally:
            self._visitors -= 1

    async def _serve(self, viewer: Connection) -> None:
        if not await self._introduced(viewer):
            await viewer.send({"error": "Unauthorized"})
            await viewer.close(CloseCode.POLICY_VIOLATION, "Unauthorized")
            return
        self._hub.parts.reception.look_after(viewer)
        self._viewers.add(viewer)
        try:
            if self.came is not None:
                self.came(viewer)
            while True:
                request = await viewer.receive()
                if payload_bytes(request) > MAX_REQUEST:
                    await viewer.close(CloseCode.MESSAGE_TOO_BIG, f"message over {MAX_REQUEST} bytes")
                elif self.asked is not None:
                    self.asked(viewer, request)
        finally:
            self._viewers.discard(viewer)
            if self.went is not None:
                self.went(viewer)

    async def _introduced(self, viewer: Connection) -> bool:
        """Whether the first message comes in time and has a good key."""
        try:
            async with asyncio.timeout(self._hub.limits.first_message_timeout):
                first = await viewer.receive()
            if payload_bytes(first) <= MAX_REQUEST and self._access.knows(_introductions.decode(first).key):
                return True
        except (TimeoutError, msgspec.DecodeError, UnicodeError):
            pass
        _logger.info("refused an admin page: no good key in its first message")
        return False

    def tell(self, message: object, to: Iterable[Connection] | None = None) -> None:
        """Push to some of the pages, or to all. One that is too slow for it is closed."""
        payload = Json(msgspec.json.encode(message).decode())
        for viewer in list(self._viewers if to is None else to):
            viewer.deliver(payload)

    def dismiss(self) -> None:
        """Close all: the hub ends."""
        for viewer in list(self._viewers):
            viewer.end(CloseCode.GOING_AWAY, "server stopping")


def _transport(websocket: WebSocket, listener: Listener, limits: Limits, pump: Pump) -> Transport:
    return sockets.transport(websocket, limits, listener, pump)


async def _turn_away(websocket: WebSocket) -> None:
    """Answer 503, or 403 on a server that knows no other answer."""
    await websocket.receive()
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(Response("Too many admin pages", 503, {"Retry-After": "1"}))
    else:
        await websocket.close()
