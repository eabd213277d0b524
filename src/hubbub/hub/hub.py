"""Hub: the one stateful object of a process."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Self, Unpack

from starlette.websockets import WebSocket

from hubbub.asgi.errors import SocketRefused
from hubbub.brokers import Broker, broker_from_url
from hubbub.connection import Connection, Joined
from hubbub.core.errors import ConfigurationError, HubNotRunning, Refused
from hubbub.core.figures import Figures, RoomFigures
from hubbub.core.heartbeat import Heartbeat
from hubbub.core.limits import Limits
from hubbub.core.options import RoomOptions, RoomPatterns, RoomSettings
from hubbub.core.origins import Origins
from hubbub.core.positions import Position
from hubbub.core.protection import Protection
from hubbub.core.rooms import Rooms
from hubbub.core.stats import Stats
from hubbub.hub.all_nodes import AllNodes, Screen
from hubbub.hub.cluster import Cluster
from hubbub.hub.connections import EVERYONE, Connections
from hubbub.hub.fanout import Fanout
from hubbub.hub.following import Following
from hubbub.hub.gauges import Gauges
from hubbub.hub.life import Life
from hubbub.hub.measured_broker import MeasuredBroker
from hubbub.hub.memberships import Memberships
from hubbub.hub.observers import Observers
from hubbub.hub.parts import Companion, Parts
from hubbub.hub.publishing import Publishing
from hubbub.hub.reception import Admission
from hubbub.hub.signals import Signals, with_own_rooms
from hubbub.hub.visit import Visit, refuse


class Hub(AllNodes, Publishing):
    """Knows the connections and rooms of a process, and talks to a broker.

    Args:
        broker: a URL like ``"memory://"``, or a `Broker`.
        limits: sizes and times.
        heartbeat: for connections that take part in it.
        origins: pages that may connect besides those of the same host and port: origins like
            ``"https://app.example.com"``, or ``"*"``.
        protection: rates and caps for clients, users and addresses; None for none.

    Raises:
        ConfigurationError: if an argument cannot work.
    """

    def __init__(
        self,
        broker: str | Broker = "memory://",
        *,
        limits: Limits | None = None,
        heartbeat: Heartbeat | None = None,
        origins: Iterable[str] = (),
        protection: Protection | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.heartbeat = heartbeat or Heartbeat()
        self.origins = Origins(origins)
        self.protection = protection
        self.stats = Stats()
        self._broker = MeasuredBroker(
            broker_from_url(broker) if isinstance(broker, str) else broker, self.stats
        )
        self._patterns = RoomPatterns()
        self._options = with_own_rooms(self._patterns.options, EVERYONE)
        self._rooms: Rooms[Connection] = Rooms(self._options, Connection.credit)
        self._fanout = Fanout(self._rooms, self.stats, self.limits.outbox_bytes)
        self._following = Following(self._broker, self._options)
        self._signals = Signals(self._broker, self._following)
        self._members = Memberships(
            self._rooms,
            self._fanout,
            self._following,
            self._signals,
            self.limits,
            self._patterns.options,
            self.stats,
        )
        self._connections = Connections(self._rooms, self._members, self._fanout, self.stats, self.heartbeat)
        self._gauges = Gauges(self.stats, self._rooms, self._connections, self._broker)
        self._life: Life | None = None  # None while the hub is not running
        self.observers = Observers()  # of presence
        self.screens: list[Screen] = []  # of users who want in
        self.companions: list[Companion] = []  # begin with the hub in this order, and end in the other

    # Life

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """``FastAPI(lifespan=hub.lifespan)``. In a lifespan of your own, use ``async with hub:``."""
        async with self:
            yield

    async def __aenter__(self) -> Self:
        if self._life is not None:
            raise ConfigurationError("The hub is running already")
        self._life = Life(
            self._broker,
            self._following,
            self._signals,
            self._members,
            self._connections,
            self.observers,
            heartbeat=self.heartbeat,
            limits=self.limits,
            origins=self.origins,
            protection=self.protection,
        )
        try:
            await self._life.begin(self.companions, self.parts)
        except BaseException:
            self._life = None
            raise
        self._gauges.lag = self._life.lag
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.flush()
        try:
            await self._running.end()
        finally:
            self._life = self._gauges.lag = None

    @property
    def running(self) -> bool:
        """Whether the hub is inside its lifespan."""
        return self._life is not None

    @property
    def _running(self) -> Life:
        if self._life is None:
            raise HubNotRunning
        return self._life

    @property
    def _cluster(self) -> Cluster:
        return self._running.cluster

    @property
    def ready(self) -> bool:
        """Whether the hub runs and its broker takes publications, as far as it knows."""
        return self._life is not None and self._broker.connected

    @property
    def parts(self) -> Parts:
        """What the gateway of another protocol works with. Raises `HubNotRunning`."""
        return self._running.parts(self._publish)

    @property
    def figures(self) -> Figures:
        """How the hub stands, and what it has counted; also while it is not running."""
        return self._gauges.figures()

    # Connections

    def connection(self, websocket: WebSocket, **arguments: Unpack[Admission]) -> Visit:
        """``async with hub.connection(websocket) as me:`` accepts, and closes at the end of the block.

        Args:
            websocket: Starlette's or FastAPI's, accepted already or not.
            arguments: what `Admission` lists: user, info, heartbeat, envelope, subprotocol, headers.

        Raises, when entered:
            HubNotRunning: outside the lifespan.
            SocketRefused: if the page's origin is not allowed; Starlette answers 403.
        """
        return Visit(partial(self._admit, websocket, **arguments), self._connections.forget)

    async def connect(self, websocket: WebSocket, **arguments: Unpack[Admission]) -> Connection:
        """Accept, and remember the connection until `disconnect`, or until its handler has ended.

        Takes the arguments of `connection`. After `disconnect`, a WebSocket that is still open becomes a new
        connection, with an id of its own and in no room.
        """
        connection = self._running.reception.known(websocket)
        if connection is None or self._forgotten(connection):
            connection = await self._admit(websocket, **arguments)
            self._running.reception.forget_with(websocket, connection)
        return connection

    def disconnect(self, member: "WebSocket | Connection") -> None:
        """Forget the connection: it leaves all rooms. Does not close it, but for a client of the Centrifuge
        protocol, which would believe itself in them; an unknown one is no error."""
        connection = self._known(member)
        if connection is not None:
            self._connections.release(connection)

    @property
    def connections(self) -> list[Connection]:
        """All connections of this process."""
        return self._connections.all

    @property
    def connection_count(self) -> int:
        """How many connections this process has."""
        return len(self._connections)

    async def _admit(self, websocket: WebSocket, **arguments: Unpack[Admission]) -> Connection:
        reception = self._running.reception
        before = reception.known(websocket)
        forgotten = before if before is not None and self._forgotten(before) else None
        connection = await reception.admit(websocket, forgotten, **arguments)
        self._connections.add(connection)
        reception.look_after(connection)
        await self._screen(connection)
        return connection

    def _forgotten(self, connection: Connection) -> bool:
        """Whether it is no longer the hub's, although it is open."""
        return connection.closed is None and self._connections.get(connection.id) is not connection

    def _known(self, member: WebSocket | Connection) -> Connection | None:
        if isinstance(member, Connection):
            return member
        return self._life.reception.known(member) if self._life is not None else None

    # Rooms

    def set_options(self, pattern: str, **settings: Unpack[RoomSettings]) -> None:
        """Set the options of the rooms whose names fit the pattern, like ``"chat:{name}"``.

        Call it before the first of them is used; the first pattern that fits a name counts.

        Args:
            pattern: ``{name}`` stands for anything without ``:`` and ``/``, ``{name:path}`` for anything.
            settings: the fields of `RoomOptions`: history, overflow, presence and more.

        Raises:
            ConfigurationError: if the pattern is malformed, or the settings cannot work together.
        """
        self._patterns.add(pattern, RoomOptions(**settings))

    def options(self, room: str) -> RoomOptions | None:
        """The options of the room of that name; None if no pattern fits it, and it has the default ones."""
        return self._patterns.find(room)

    async def join(
        self, room: str, member: "WebSocket | Connection", *, since: Position | None = None
    ) -> Joined:
        """Make it a member. A `WebSocket` that is not connected yet is accepted first.

        A client of the Centrifuge protocol is subscribed by the server, and told of it; one that is coming in
        by itself is left to that.

        Args:
            room: its name.
            member: who joins.
            since: what it has seen of the room. All that followed is sent to it first, or, if that is not all
                kept any more, nothing of it; `recovered` in the answer says which.

        Raises:
            InvalidRoomName: if the name breaks the rule of `Limits.check_room_name`.
            LimitReached: if it is in `Limits.rooms_per_connection` rooms already.
            Disconnected: if it is closed.
            BrokerError: if the broker does not answer.
            SocketRefused: in place of the first two for a `WebSocket`, which is told and then closed.
        """
        if isinstance(member, Connection):
            return await self._connections.join(room, member, since=since)
        connection = await self.connect(member)
        try:
            return await self._connections.join(room, connection, since=since)
        except Refused as error:
            await refuse(connection, error)
            raise SocketRefused(error) from error

    def leave(self, room: str, member: "WebSocket | Connection") -> None:
        """Take it out of the room; nothing happens if it is not a member. An SDK's client is told of it."""
        connection = self._known(member)
        if connection is not None:
            self._connections.leave(room, connection)

    def room_count(self, room: str) -> int:
        """How many members the room has in this process."""
        return self._rooms.count(room)

    def rooms_of(self, member: Connection) -> list[str]:
        """The names of the rooms that the connection is in, in the order it joined them."""
        return self._connections.rooms_of(member)

    @property
    def rooms(self) -> list[str]:
        """The names of all rooms that have a member in this process."""
        return [room.name for room in self._rooms if room.name != EVERYONE]

    def members(self, room: str) -> list[Connection]:
        """The members of the room in this process."""
        here = self._rooms.get(room)
        return [] if here is None else list(here)

    def room_figures(self, room: str) -> RoomFigures | None:
        """The figures of a room in this process; None if it has no members here."""
        return self._gauges.of_room(room)

    def all_room_figures(self) -> list[RoomFigures]:
        """The figures of all rooms that have members in this process."""
        return self._gauges.of_rooms()

    # Messages to one

    async def send_personal(self, message: object, member: "WebSocket | Connection") -> None:
        """Send to this client alone. Raises `Disconnected` if it is closed."""
        connection = self._known(member) or await self.connect(member)  # type: ignore[arg-type]
        await connection.send(message)
