"""What all WebSocket connections of one uvicorn server share."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from uvicorn.config import Config
from uvicorn.server import ServerState

from hubbub.uvicorn.deadlines import DeadlineQueue
from hubbub.uvicorn.handshake import header_lines
from hubbub.uvicorn.turns import Admission, PerTurn

DRAIN: Final = "hubbub.drain"
"""Where in the lifespan state, and so in each ASGI scope's ``state``, the server's `Drain` is."""

PORTS: Final = "hubbub.ports"
"""There, too: the ports on which the server listens, in the order in which it was given its sockets."""

ASGIApp = Callable[[Any, Any, Any], Coroutine[Any, Any, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """Limits of one connection that uvicorn has no option for; a subclass of the protocol changes them."""

    fragments: int = 1_024
    """Most frames under 64 bytes in one message; more closes 1009."""

    control_rate: float = 20.0
    """Pings and pongs a second that a client may send on average; more closes 1008."""

    control_burst: int = 100
    """How many of them may come at once."""

    queued_bytes: int = 65_536
    """How much may wait for an app that does not call receive(), before reading pauses. Messages are counted
    too: uvicorn's --ws-max-queue."""

    early_bytes: int = 65_536
    """How much a client may send before the app accepts it."""

    handshakes_per_turn: int = 4
    """Handshakes begun in one turn of the event loop; the others wait for the next, in order."""

    waiting_handshakes: int = 8_192
    """How many of them may wait; one more is refused with 503."""

    first_frames_per_turn: int = 8
    """Connections whose first frame is taken in one turn; the others wait for the next, in order. There a
    client of a protocol says who it is and what it missed, which costs more than a message."""

    messages_per_turn: int = 64
    """Messages that all apps together take in one turn of the event loop out of what waits for them. Past
    that each may take one in a turn."""

    closing_bytes: int = 1_048_576
    """How much a client may still send after a close frame of the server's, before it is dropped."""

    close_timeout: float = 10.0
    """Seconds until a connection that is closing is dropped."""

    shutdown_timeout: float = 2.0
    """The same while the server shuts down."""

    stall_timeout: float = 30.0
    """Seconds that sent data may stay unacknowledged (TCP_USER_TIMEOUT, where the platform has it)."""


class Drain:
    """Whether this process is emptying itself. `hubbub serve` answers ``/ready`` by it."""

    __slots__ = ("active", "alone")

    def __init__(self) -> None:
        self.active = False
        self.alone = False
        """Whether other processes go on at the same ports: then they take the new clients."""


class Timed(Protocol):
    """A connection, as the deadlines see it."""

    def ping_due(self) -> None:
        """It is time for the next keepalive ping."""

    def pong_overdue(self) -> None:
        """The keepalive ping was not answered in time."""

    def abort(self) -> None:
        """The closing handshake took too long."""


class Endpoint:
    """The settings, the four deadline queues and the admission of all WebSockets of one server.

    Hung on uvicorn's `ServerState` by the first connection, so that it lives as long as the server.
    """

    __slots__ = (
        "_default_headers",
        "_default_lines",
        "admission",
        "app",
        "app_state",
        "asgi_version",
        "closing",
        "config",
        "connections",
        "create_future",
        "first_frames",
        "leaving",
        "limits",
        "logger",
        "loop",
        "max_queue",
        "max_size",
        "messages",
        "pings",
        "pongs",
        "root_path",
        "server_state",
        "task_ended",
        "tasks",
    )

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], limits: SocketLimits
    ) -> None:
        if not config.loaded:
            config.load()
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.create_future = self.loop.create_future
        self.logger = logging.getLogger("uvicorn.error")
        self.app: ASGIApp = config.loaded_app
        self.asgi_version = config.asgi_version
        self.root_path = config.root_path
        self.max_size = config.ws_max_size
        self.max_queue = config.ws_max_queue
        self.connections: set[Any] = server_state.connections
        self.tasks = server_state.tasks
        self.task_ended = self.tasks.discard  # one for all
        self.admission = Admission(self.loop, limits.handshakes_per_turn, limits.waiting_handshakes)
        self.first_frames = Admission(self.loop, limits.first_frames_per_turn, limits.waiting_handshakes)
        self.messages = PerTurn(self.loop, limits.messages_per_turn)
        self._default_headers: list[tuple[bytes, bytes]] = []
        self._default_lines = b""
        self.pings: DeadlineQueue[Timed] | None = None  # None when the option is off
        self.pongs: DeadlineQueue[Timed] | None = None
        if config.ws_ping_interval:
            self.pings = DeadlineQueue(self.loop, config.ws_ping_interval, lambda one: one.ping_due())
        if config.ws_ping_interval and config.ws_ping_timeout:
            self.pongs = DeadlineQueue(self.loop, config.ws_ping_timeout, lambda one: one.pong_overdue())
        self.closing: DeadlineQueue[Timed] = DeadlineQueue(
            self.loop, limits.close_timeout, lambda one: one.abort()
        )
        self.leaving: DeadlineQueue[Timed] = DeadlineQueue(
            self.loop, limits.shutdown_timeout, lambda one: one.abort()
        )

    @classmethod
    def of(
        cls, config: Config, server_state: ServerState, app_state: dict[str, Any], limits: SocketLimits
    ) -> "Endpoint":
        """Return the endpoint of this server; the first call makes it."""
        endpoint = getattr(server_state, "hubbub_endpoint", None)
        if not isinstance(endpoint, cls) or endpoint.config is not config or endpoint.limits is not limits:
            endpoint = cls(config, server_state, app_state, limits)
            server_state.hubbub_endpoint = endpoint  # type: ignore[attr-defined]
        return endpoint

    @property
    def draining(self) -> bool:
        """Whether new connections are refused with 503 while the old ones leave."""
        drain: Drain | None = self.app_state.get(DRAIN)
        return drain is not None and drain.active and not drain.alone

    @property
    def default_lines(self) -> bytes:
        """uvicorn's default headers as lines of a response. It makes a new list each second, for the date."""
        headers = self.server_state.default_headers
        if headers is not self._default_headers:
            self._default_headers = headers
            self._default_lines = header_lines(headers)
        return self._default_lines

    def forget(self, connection: Timed) -> None:
        """Drop every deadline of a connection that is gone."""
        if self.pings is not None:
            self.pings.discard(connection)
        if self.pongs is not None:
            self.pongs.discard(connection)
        self.closing.discard(connection)
        self.leaving.discard(connection)
