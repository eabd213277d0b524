"""Where a WebSocket becomes a connection of the hub's."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TypedDict, Unpack
from weakref import WeakKeyDictionary, ref

from starlette.websockets import WebSocket

from hubbub.asgi import sockets
from hubbub.asgi.addresses import client_address
from hubbub.asgi.errors import SocketRefused
from hubbub.asgi.events import Scope, peer_host
from hubbub.asgi.listener import Listener
from hubbub.asgi.pump import Pump
from hubbub.asgi.transport import WebSocketTransport
from hubbub.asgi.transport_contract import Transport
from hubbub.connection import Connection, Host
from hubbub.core.errors import LimitReached, Overloaded
from hubbub.core.formats import ENVELOPE, PLAIN
from hubbub.core.gate import Gate, Place
from hubbub.core.limits import Limits
from hubbub.core.origins import Origins
from hubbub.core.stats import RefusalReason
from hubbub.core.users import User
from hubbub.hub.clock import Clock
from hubbub.hub.evictions import Evictions
from hubbub.hub.open_files import room_for_connections
from hubbub.hub.watch import Watch

_logger = logging.getLogger("hubbub")

LONGEST_WAIT = 86_400.0
"""Seconds until a token's end is looked at again: the wall clock may be set, and a laptop may sleep."""

DISMISSAL = 2.0
"""Seconds that the last clients' close frames may take when the hub ends."""

_KNOCKED = "hubbub.knocked"
"""Where the scope of a handshake says that it was counted."""


class Admission(TypedDict, total=False):
    """What may be said of a WebSocket when it is admitted."""

    user: User | None
    """Whose it is; the one found by an auth dependency unless given."""

    info: Mapping[str, object] | None
    """What others may know about it."""

    heartbeat: bool | None
    """Whether to send ``{"type":"ping"}`` and expect ``pong``; None, the default, leaves it to the client,
    which opts in with ``?heartbeat=1``."""

    envelope: bool
    """Give publications as JSON with their room and position, for a client that resumes."""

    subprotocol: str | None
    """The one to select (RFC 6455 section 1.9)."""

    headers: Iterable[tuple[bytes, bytes]]
    """For the handshake's answer."""


class Reception:
    """Admits WebSockets and looks after them until they end.

    Args:
        host: the hub, for the connections.
        clock: the hub's.
        watch: looks after each connection.
        limits: for the connections' transports.
        origins: the pages that may connect.
        gate: gives the places; None for as many as come.
        evictions: end those whose credentials have ended.
    """

    __slots__ = (
        "_clock",
        "_ending",
        "_evictions",
        "_gate",
        "_host",
        "_limits",
        "_origins",
        "_pump",
        "_sockets",
        "_watch",
    )

    def __init__(
        self,
        host: Host[Connection],
        clock: Clock,
        watch: Watch,
        limits: Limits,
        origins: Origins,
        gate: Gate | None,
        evictions: Evictions,
    ) -> None:
        self._host = host
        self._evictions = evictions
        self._clock = clock
        self._watch = watch
        self._limits = limits
        self._origins = origins
        self._gate = gate
        if gate is not None:
            gate.bound(room_for_connections())
        self._ending = False  # the hub closes all: nobody comes in any more
        self._pump = Pump()
        self._sockets: WeakKeyDictionary[WebSocket, Connection] = WeakKeyDictionary()

    def known(self, websocket: WebSocket) -> Connection | None:
        """The connection of a WebSocket; None for one never admitted. Raises TypeError for anything else."""
        if not isinstance(websocket, WebSocket):
            raise TypeError(f"{websocket!r} is neither a WebSocket of FastAPI or Starlette nor a Connection")
        return self._sockets.get(websocket)

    async def admit(
        self, websocket: WebSocket, forgotten: Connection | None = None, **arguments: Unpack[Admission]
    ) -> Connection:
        """Check the origin, find a place, complete the handshake and take the WebSocket over.

        Args:
            websocket: who comes.
            forgotten: the connection that it was before, which is open, and no longer the hub's.
            arguments: what `Admission` lists.
        """
        connection = await self.open(websocket, forgotten, **arguments)
        sockets.lead_through(websocket, connection)
        self._sockets[websocket] = connection
        return connection

    async def open(
        self, websocket: WebSocket, forgotten: Connection | None = None, **arguments: Unpack[Admission]
    ) -> Connection:
        """`admit` for a WebSocket that nobody uses any more: its own methods are not led through."""
        try:
            sockets.check_origin(websocket, self._origins)
        except SocketRefused:
            self._host.stats.refuse(RefusalReason.ORIGIN)
            raise
        user = arguments.get("user") or websocket.scope.get(sockets.USER)
        place = await self._find_place(websocket, user)
        try:
            await sockets.accept(websocket, arguments.get("subprotocol"), arguments.get("headers", ()))
        except BaseException:
            if place is not None:
                place.leave()
            raise
        heartbeat = arguments.get("heartbeat")
        connection = Connection(
            self._host,
            _new_id(),
            user=user,
            info=arguments.get("info"),
            heartbeat=sockets.wants_heartbeat(websocket) if heartbeat is None else heartbeat,
            format=ENVELOPE if arguments.get("envelope") else PLAIN,
        )
        connection.place = connection.meter = place
        connection.address = peer_host(websocket.scope)
        if forgotten is None:
            connection.transport = sockets.transport(websocket, self._limits, connection, self._pump)
        else:
            connection.transport = _taken_from(forgotten, connection)
        return connection

    def place(self, scope: Scope, user: User | None = None) -> Place | None:
        """A place for the client of a handshake; None where the hub has no gate.

        Raises:
            Overloaded: if there is none, its address comes too often, or the hub ends.
            LimitReached: if its user has too many.
        """
        if self._ending:
            raise Overloaded("The server is stopping")
        if self._gate is None:
            return None
        address = client_address(scope)
        if not scope.get(_KNOCKED):
            self._knock(address)
        try:
            return self._gate.enter(address, user.id if user else None)
        except (Overloaded, LimitReached) as error:
            self._host.stats.refuse(error)
            raise

    def stranger(self, scope: Scope) -> None:
        """Count a request of somebody who is no client like a handshake. Raises `Overloaded`."""
        self._knock(client_address(scope))

    async def knock(self, websocket: WebSocket) -> None:
        """Count the handshake before anybody looks at what it brings. Raises `SocketRefused`."""
        if self._gate is None or websocket.scope.get(_KNOCKED):
            return
        try:
            self._knock(client_address(websocket.scope))
        except Overloaded as error:
            await sockets.deny(websocket, str(error))
            raise SocketRefused(error) from error
        websocket.scope[_KNOCKED] = True

    @asynccontextmanager
    async def newcomer(self, websocket: WebSocket) -> AsyncIterator[None]:
        """Count a client while it is not known yet who it is. Raises `SocketRefused` for one too many."""
        gate = self._gate
        if gate is None:
            yield
            return
        if not gate.has_room_for_newcomers:
            self._host.stats.refuse(RefusalReason.CAPACITY)
            await sockets.deny(websocket, "Too many clients")
            raise SocketRefused(Overloaded("Too many clients"))
        gate.newcomers += 1
        try:
            yield
        finally:
            gate.newcomers -= 1

    def _knock(self, address: str | None) -> None:
        if self._gate is not None and not self._gate.knock(address, self._clock.now()):
            self._host.stats.refuse(RefusalReason.RATE)
            raise Overloaded("Too many connections in a short time")

    async def _find_place(self, websocket: WebSocket, user: User | None) -> Place | None:
        try:
            return self.place(websocket.scope, user)
        except (Overloaded, LimitReached) as error:
            await sockets.deny(websocket, str(error))
            raise SocketRefused(error) from error

    def adopt(
        self, open: Callable[[Listener, Limits, Pump], Transport], place: Place | None = None
    ) -> Connection:
        """A connection over another transport than a WebSocket, which `open` makes. Nothing is checked."""
        connection = Connection(self._host, _new_id())
        connection.place = connection.meter = place
        connection.transport = open(connection, self._limits, self._pump)
        return connection

    def look_after(self, connection: Connection) -> None:
        """Watch the connection until it is closed, and close it when its user's credentials end."""
        self._watch.start(connection)
        self._end_with_token(connection)
        if self._gate is not None and self._gate.protection.idle_timeout is not None:
            end = partial(self._end_idle, connection)
            connection.idle = self._clock.after(self._gate.protection.idle_timeout, end)

    def forget_with(self, websocket: WebSocket, connection: Connection) -> None:
        """Forget the connection when the socket object ends: a handler that crashed calls no disconnect."""

        def ended(_: ref[WebSocket]) -> None:
            self._host.forget(connection)
            if not connection.closed:  # nobody is left who could end it; what waits is written before
                self._clock.after(0, connection.transport.abort)

        connection.socket = ref(websocket, ended)

    def shut(self, connection: Connection, code: int, reason: str) -> None:
        """Close in place of what still waits; a client that takes not even that is dropped after a while."""
        connection.transport.close(code, reason, discard=True)
        self._clock.after(self._limits.close_timeout, connection.transport.abort)

    async def dismiss(self, connections: list[Connection]) -> None:
        """Close all of them at the hub's end, and wait a short time for the close frames to go out.

        From now on nobody comes in.
        """
        self._ending = True
        if not connections:
            return
        for connection in connections:
            connection.transport.close(*connection.endings.stopping)
        finishing = [asyncio.ensure_future(connection.finish()) for connection in connections]
        await asyncio.wait(finishing, timeout=DISMISSAL)
        for connection in connections:
            connection.transport.abort()

    def _end_idle(self, connection: Connection) -> None:
        if not connection.closed:
            _logger.info("closing %s: it was never in a room", connection.id)
            self.shut(connection, *connection.endings.idle)

    def _end_with_token(self, connection: Connection) -> None:
        expires_at = connection.user.expires_at if connection.user else None
        expired = connection.endings.expired
        if expires_at is None or expired is None or connection.closed:
            return
        left = expires_at - time.time()
        if left > 0:
            look = partial(self._end_with_token, connection)
            connection.expiry = self._clock.after(min(left, LONGEST_WAIT), look)
        else:  # of a crowd that got its tokens together a few in each turn
            self._evictions.now_or_soon(connection, partial(self.shut, connection, *expired))


def _taken_from(forgotten: Connection, connection: Connection) -> Transport:
    """The transport of a WebSocket that comes again: what was read ahead and what still waits stay in it."""
    transport = forgotten.transport
    assert isinstance(transport, WebSocketTransport)
    forgotten.unwatch()
    forgotten.socket = None
    transport.tell(connection)
    return transport


def _new_id() -> str:
    """An id that nobody can guess."""
    return os.urandom(16).hex()
