"""The first bytes of a connection: they decide whether it becomes a WebSocket of ours or uvicorn's HTTP.

Most connections of a hub are WebSockets, whose request our class reads itself. So uvicorn's HTTP protocol,
its parser and its flow control are made only where they are needed.
"""

import asyncio
from typing import Any, ClassVar

from uvicorn.config import Config
from uvicorn.server import ServerState

from hubbub.uvicorn.deadlines import DeadlineQueue
from hubbub.uvicorn.handshake import is_upgrade
from hubbub.uvicorn.http_responses import HttpResponseProtocol
from hubbub.uvicorn.protocol import WebSocketProtocol


class Entrance:
    """What the connections of one server share before their first request."""

    __slots__ = ("app_state", "config", "connections", "heads", "server_state", "web_socket")

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], head_timeout: float
    ) -> None:
        if not config.loaded:
            config.load()
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.connections: set[Any] = server_state.connections
        self.heads: DeadlineQueue[Any] = DeadlineQueue(
            asyncio.get_running_loop(), head_timeout, lambda one: one.transport.close()
        )
        chosen = config.ws_protocol_class
        self.web_socket: type[WebSocketProtocol] | None = None
        """uvicorn's option --ws, where it is a class of ours."""
        if isinstance(chosen, type) and issubclass(chosen, WebSocketProtocol):
            self.web_socket = chosen


class HttpProtocol(asyncio.Protocol):
    """`uvicorn app:app --http hubbub.uvicorn:HttpProtocol`.

    A WebSocket handshake that comes in one piece goes to our class; everything else to uvicorn's.
    """

    __slots__ = ("_entrance", "transport")

    head_timeout: ClassVar[float] = 10.0
    """Seconds that a request head may take, from the connection or from its own first byte."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # Hung on uvicorn's ServerState by the first connection, so that it lives as long as the server.
        entrance = getattr(server_state, "hubbub_entrance", None)
        if not isinstance(entrance, Entrance):
            entrance = Entrance(config, server_state, app_state, self.head_timeout)
            server_state.hubbub_entrance = entrance  # type: ignore[attr-defined]
        self._entrance = entrance
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first request."""
        self.transport = transport
        self._entrance.connections.add(self)
        self._entrance.heads.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left without a word."""
        self._leave()

    def data_received(self, data: bytes) -> None:
        """Hand the connection over to whom its first bytes are for."""
        self._leave()
        entrance, transport = self._entrance, self.transport
        if entrance.web_socket is not None and is_upgrade(data):
            web_socket = entrance.web_socket(entrance.config, entrance.server_state, entrance.app_state)
            web_socket.connection_made(transport)
            transport.set_protocol(web_socket)
            web_socket.receive_request(data)
            return
        http = HttpResponseProtocol(
            entrance.config,
            entrance.server_state,
            entrance.app_state,
            asyncio.get_running_loop(),
            entrance.heads,
        )
        http.connection_made(transport)
        transport.set_protocol(http)
        http.data_received(data)

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops: no request has begun."""
        self.transport.close()

    def _leave(self) -> None:
        self._entrance.heads.discard(self)
        self._entrance.connections.discard(self)
