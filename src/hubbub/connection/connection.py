"""Connection: the hub's view of one client, and a handler's."""

import time
from collections.abc import Coroutine, Generator, Mapping
from types import TracebackType
from typing import Any
from weakref import ref

from starlette.websockets import WebSocket

from hubbub.asgi.transport_contract import Transport
from hubbub.connection.host import Delegate, Host, Joined
from hubbub.connection.incoming import Incoming
from hubbub.core.endings import PLAIN_ENDINGS
from hubbub.core.errors import CloseCode, Disconnected, HubbubError
from hubbub.core.figures import ConnectionFigures
from hubbub.core.formats import PLAIN, Format
from hubbub.core.gate import Place
from hubbub.core.heartbeat import Pulse
from hubbub.core.messages import Payload, payload_bytes, to_payload
from hubbub.core.outbox import Codec, Outgoing
from hubbub.core.positions import Position
from hubbub.core.rounds import Rounds
from hubbub.core.timers import Timer
from hubbub.core.users import User

PONGS = frozenset({"pong", '{"type":"pong"}', '{"type": "pong"}'})
"""What a client may answer to the heartbeat's ping."""


class Connection(Incoming):
    """One client. Made by `Hub.connection` or `Hub.connect`.

    `str` goes out as a text frame, `bytes` as a binary frame, anything else as JSON text.
    """

    __slots__ = (
        "__weakref__",
        "_host",
        "_transport",
        "address",
        "beat",
        "bytes_in",
        "bytes_out",
        "delegate",
        "endings",
        "expiry",
        "format",
        "heartbeat",
        "id",
        "idle",
        "info",
        "messages_in",
        "messages_out",
        "meter",
        "opened_at",
        "place",
        "pulse",
        "rounds",
        "socket",
        "user",
        "via",
    )

    def __init__(
        self,
        host: "Host[Connection]",
        id: str,
        *,
        user: User | None = None,
        info: Mapping[str, object] | None = None,
        heartbeat: bool = False,
        format: Format = PLAIN,
    ) -> None:
        self._host = host
        self._transport: Transport | None = None  # None until the handshake is done
        self.id = id
        self.user = user
        self.info = info
        self.heartbeat = heartbeat  # whether the client is asked with {"type":"ping"} and answers "pong"
        self.format = format  # what publications look like to it
        self.via = "websocket"  # or "sse" or "http_stream"
        self.address = ""  # where the client comes from; empty where the server does not know
        self.endings = PLAIN_ENDINGS  # what it is told when the hub ends it
        self.delegate: Delegate | None = None  # of another protocol's client
        self.pulse = Pulse(host.now(), host.heartbeat.interval) if heartbeat else None
        self.socket: ref[WebSocket] | None = None  # set where the socket's end is the connection's
        self.rounds: Rounds[Connection] | None = None  # of the hub's `Watch`
        self.beat: Timer | None = None  # of its heartbeat
        self.expiry: Timer | None = None  # the end of the user's credentials; None where they do not end
        self.idle: Timer | None = None  # the end of one that comes into no room; None for no such end
        self.place: Place | None = None  # what it takes of the hub; None where that is not counted
        self.meter: Place | None = None  # the same where each of its frames is a message
        self.opened_at = time.time()
        self.messages_in = self.bytes_in = 0
        self.messages_out = self.bytes_out = 0  # without what its rooms are yet to credit it with

    def __repr__(self) -> str:
        state = "open" if self.closed is None else f"closed {int(self.closed.code)}"
        return f"<Connection {self.id} user={self.user.id if self.user else None!r} {state}>"

    @property
    def transport(self) -> Transport:
        """How bytes reach the client.

        Raises:
            Disconnected: before the handshake.
        """
        if self._transport is None:
            raise Disconnected(CloseCode.ABNORMAL, "the handshake is not done")
        return self._transport

    @transport.setter
    def transport(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def closed(self) -> Disconnected | None:
        """How the connection ended; None while it is open."""
        return (self._transport or self.transport).closed  # hot: a property less

    @property
    def rooms(self) -> list[str]:
        """The names of the rooms it is a member of, in the order it joined them."""
        return self._host.rooms_of(self)

    @property
    def codec(self) -> Codec:
        """How publications are written for this client."""
        return (self._transport or self.transport).codec

    @property
    def figures(self) -> ConnectionFigures:
        """What came from the client and went to it, and what waits."""
        rooms = self._host.uncredited(self)
        return ConnectionFigures(
            opened_at=self.opened_at,
            messages_in=self.messages_in,
            bytes_in=self.bytes_in,
            messages_out=self.messages_out + rooms.messages,
            bytes_out=self.bytes_out + rooms.bytes,
            queued_bytes=self.transport.buffered,
            queued_most=self.transport.queued_most,
        )

    def credit(self, messages: int, size: int) -> None:
        """Count what a room has written to it."""
        self.messages_out += messages
        self.bytes_out += size

    def write(self, items: list[Outgoing[Any]]) -> None:
        """Queue what the codec encoded, without waiting. A client that is too slow for it is closed 1013."""
        for item in items:
            self._count(item)
        self.transport.write(self.codec.join(items))

    async def pass_on(self, item: Outgoing[Any]) -> None:
        """Send what the codec encoded, in order with `write`; wait while the client is slow.

        Raises:
            Disconnected: if the connection is closed, or is closed meanwhile.
        """
        self._count(item)
        await self.transport.send(item)

    def refused(self, error: HubbubError) -> None:
        """Count what the client may not do, or what it sent and cannot be used."""
        self._host.stats.refuse(error)

    def _count(self, item: Outgoing[Any]) -> None:
        sent = self._host.stats.sent
        self.messages_out += 1
        self.bytes_out += item.size
        sent.messages += 1
        sent.bytes += item.size

    @property
    def handle(self) -> Any:
        """What the codec writes to."""
        return self.transport.handle

    def write_rest(self, rest: Any) -> None:
        """Write what the codec's `deliver` left over."""
        self.transport.write_rest(rest)

    # Rooms

    def join(self, room: str, *, since: Position | None = None) -> "Membership":
        """``await me.join(room)``, or ``async with me.join(room):`` to leave at the end of the block.

        Args:
            room: its name.
            since: what the client has seen of it. All that followed is sent first, or nothing of it:
                `Membership.recovered` says which.

        Raises, when awaited:
            InvalidRoomName: if the name breaks the rule.
            LimitReached: if the connection is in too many rooms.
            BrokerError: if the broker does not answer.
        """
        return Membership(self._host, self, room, since)

    def leave(self, room: str) -> None:
        """Leave the room; nothing happens if it is not a member."""
        self._host.leave(room, self)

    # Sending

    async def send(self, message: object) -> None:
        """Send to this client alone, after everything published to it before. Waits while the client is slow.

        Raises:
            Disconnected: if the connection is closed, or is closed meanwhile.
            TypeError: if the message cannot be written as JSON.
        """
        item = self.transport.codec.encode(self.format.personal(to_payload(message)))
        self._host.flush()
        await self.pass_on(item)

    def deliver(self, payload: Payload) -> None:
        """Send without waiting; nothing happens once it is closed. A client too slow for it is closed."""
        if not self.closed:
            self._host.flush()
            self.write([self.codec.encode(self.format.personal(payload))])

    def receive(self) -> Coroutine[Any, Any, Payload]:
        """The next message: `str` for a text frame, `bytes` for a binary one.

        Raises:
            Disconnected: when the connection has ended.
        """
        return (self._transport or self.transport).receive()  # hot: one coroutine less

    async def ping(self) -> float:
        """Ask the client's WebSocket for a pong (RFC 6455 section 5.5.2); return the round trip in seconds.

        Raises:
            Disconnected: if the connection closes first.
            NotImplementedError: on servers that send no pings for us; `hubbub.uvicorn` does.
        """
        frames = self.transport.frames
        if frames is None:
            raise NotImplementedError("this server sends no pings: use hubbub.uvicorn:WebSocketProtocol")
        try:
            return await frames.ping()
        except OSError:
            raise (self.transport.ended() if self.closed else Disconnected()) from None

    # The end

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close after everything that was sent; wait until the close frame is out. Twice does nothing.

        Args:
            code: 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455 section 7.4).
            reason: cut at 123 bytes of UTF-8.
        """
        self.end(code, reason)
        await self.transport.finish()

    def end(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """`close`, without waiting."""
        self._host.flush()
        self.transport.close(code, reason)

    async def finish(self) -> None:
        """Wait until the close frame is out, `Limits.close_timeout` seconds at most."""
        await self.transport.finish()

    def interrupted(self, room: str, position: Position) -> None:
        """Publications of a room were lost and its format has no word for it: it has to come back and ask.

        What comes next follows the position.
        """
        if self.delegate is not None:
            self.delegate.lost_some(room, position)
        else:
            self.end(CloseCode.SERVICE_RESTART, "publications were lost")

    def unwatch(self) -> None:
        """Look after it no more. Its timers must not keep it in memory until they are due."""
        for timer in (self.beat, self.expiry, self.idle):
            if timer is not None:
                timer.cancel()
        if self.rounds is not None:
            self.rounds.discard(self)

    def settle(self) -> None:
        """It has come into a room."""
        if self.idle is not None:
            self.idle.cancel()
            self.idle = None

    # What the transport tells

    def received(self, payload: Payload) -> bool:
        """Note the sign of life; keep a pong from the handler."""
        if self.pulse is not None:
            self.pulse.beat()
        size = payload_bytes(payload)
        self.messages_in += 1
        self.bytes_in += size
        received = self._host.stats.received
        received.messages += 1
        received.bytes += size
        if self.meter is not None and not self._host.within_rate(self):
            return False
        return not (self.heartbeat and payload in PONGS)

    def regrouped(self) -> None:
        """The codec and the handle have changed."""
        self._host.regroup(self)

    def slow(self) -> None:
        """More waits for the client than its outbox holds."""
        self._host.slow(self)

    def dropped(self, count: int) -> None:
        """So many messages were dropped by their rooms' policy."""
        self._host.dropped(count)

    def lost(self, cause: Disconnected) -> None:
        """The connection has ended."""
        self.unwatch()
        self._host.forget(self)
        if self.delegate is not None:
            self.delegate.ended()


class Membership:
    """A connection's stay in a room: awaitable, and a context manager."""

    __slots__ = ("_host", "_joining", "_member", "_since", "joined", "room")

    def __init__(
        self, host: "Host[Connection]", member: Connection, room: str, since: Position | None
    ) -> None:
        self._host = host
        self._member = member
        self._since = since
        self.room = room
        # Made here, so that Python warns where nobody awaits it: without that it would never be begun.
        self._joining: Coroutine[Any, Any, Joined] | None = self._join()  # None once begun
        self.joined = Joined(None)

    @property
    def position(self) -> Position | None:
        """Where the client stood when it joined: what it gets follows that. None without history."""
        return self.joined.position

    @property
    def recovered(self) -> bool | None:
        """Whether the client got all that followed `since`; None if that was not asked for."""
        return self.joined.recovered

    def __await__(self) -> Generator[Any, None, "Membership"]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> "Membership":
        joining, self._joining = self._joining, None
        self.joined = await (joining or self._join())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._host.leave(self.room, self._member)

    def _join(self) -> Coroutine[Any, Any, Joined]:
        return self._host.join(self.room, self._member, since=self._since)
