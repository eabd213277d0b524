"""One client of the protocol: carries out on the hub what its session asks for."""

import asyncio
import dataclasses
import logging
from collections.abc import Mapping
from inspect import isawaitable
from random import random

import msgspec
from msgspec.structs import replace

from hubbub.asgi.events import Scope
from hubbub.centrifuge.actions import (
    Accepted,
    Action,
    Answer,
    Call,
    Close,
    Done,
    GoLive,
    Send,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from hubbub.centrifuge.codec import Codec, optional
from hubbub.centrifuge.errors import Disconnect, DisconnectCode, UnsubscribeCode
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.results import ClientInfo
from hubbub.centrifuge.session import Session
from hubbub.centrifuge.terms import Terms
from hubbub.connection import Connection
from hubbub.core.errors import CloseCode, HubbubError, InvalidMessage
from hubbub.core.messages import Payload, payload_bytes
from hubbub.core.positions import Position
from hubbub.core.timers import Timer
from hubbub.gateway.call_tasks import CallTasks
from hubbub.gateway.calls import Calls
from hubbub.gateway.formats import to_frame
from hubbub.gateway.handlers import NO_TOKEN, Grant, Identity, TokenMark
from hubbub.gateway.held import Held, catch_up
from hubbub.gateway.service import ENDINGS, SERVER_ERROR, Service
from hubbub.hub.memberships import Arrival
from hubbub.hub.parts import Parts

_logger = logging.getLogger("hubbub")


class Client:
    """One client: its session, its connection, its calls.

    Args:
        service: what it shares with the others.
        parts: of the running hub.
        calls: carries out its calls.
        connection: for what is written; already taken over, not among the hub's yet.
        codec: its encoding.
        scope: of its handshake.
        terms: for its session.
        session: the secret with which other requests speak for it; empty for none.
    """

    __slots__ = (
        "_calls",
        "_grants",
        "_held",
        "_new",
        "_offers",
        "_parts",
        "_prepared",
        "_quiet",
        "_replies",
        "_service",
        "_session",
        "_tasks",
        "_timer",
        "_todo",
        "app",
        "codec",
        "connection",
        "info",
        "scope",
        "token",
    )

    def __init__(
        self,
        service: Service,
        parts: Parts,
        calls: Calls,
        connection: Connection,
        codec: Codec,
        scope: Scope,
        terms: Terms,
        session: str = "",
    ) -> None:
        self._service = service
        self._calls = calls
        self.codec = codec
        self._parts = parts
        self.connection = connection
        self.scope = scope
        now = parts.clock.now()
        self._session = Session(connection.id, codec, terms, now, spread=random(), session=session)
        self.token = NO_TOKEN  # its newest
        self.app = ("", "")  # what it calls itself: a name and a version
        self.info = ClientInfo("", connection.id)  # as others see it
        self._offers: dict[str, Grant] = {}  # of rooms that the server will subscribe it to
        self._prepared: dict[str, Grant] = {}  # of rooms that it may come into, but has not yet
        self._grants: dict[str, Grant] = {}  # of the rooms it is in
        self._held: Held | None = None  # None where no reply ever had to wait
        self._new = True  # it is not known yet who it is
        service.newcomers += 1
        self._timer: Timer | None = None
        self._todo: list[Action] | None = None  # None while nothing is carried out
        self._replies: list[bytes] = []  # to be written together
        self._tasks = CallTasks(self._answered, calls.failure)
        self._quiet: asyncio.Event | None = None  # set when it may be read from again
        connection.on_gap = self._lost_some
        connection.on_lost = self._read_on
        connection.endings = ENDINGS
        self._schedule()

    # What handlers see

    def grant(self, room: str) -> Grant | None:
        """The subscription to a room; None if it is not in the room."""
        return self._grants.get(room)

    @property
    def grants(self) -> Mapping[str, Grant]:
        """Its subscriptions, those that are about to begin among them."""
        return {**self._prepared, **self._grants}

    # What its calls tell

    def introduce(self, identity: Identity, app: tuple[str, str]) -> Accepted:
        """It is known who it is: from now on it is one of the hub's connections."""
        if self.connection.closed:
            raise self.connection.transport.ended()
        parts = self._parts
        self.identify(identity)
        self.app = app
        self._offers |= identity.rooms
        self.connection.format = self._service.formats(self.codec).messages
        self._service.newcomers -= 1
        self._new = False
        parts.connections.add(self.connection)
        parts.reception.look_after(self.connection)
        return Accepted(identity.ttl, identity.client_refresh, identity.data, tuple(identity.rooms))

    def identify(self, identity: Identity) -> None:
        """Take over what is known about it."""
        user, connection = identity.user, self.connection
        info = optional(JSON_CODEC, identity.info)
        connection.user = user
        self.token = identity.token
        connection.info = msgspec.json.decode(info) if identity.info is not None else None
        self.info = ClientInfo(user.id if user else "", connection.id, info)

    def offer(self, room: str) -> Grant:
        """What the server subscribes it with."""
        return self._offers.pop(room, None) or Grant(by_token=True)

    async def prepare(self, room: str, grant: Grant, since: Position | None) -> Arrival:
        """Follow the room for it: it may come in then, or not. Raises like `Memberships.prepare`."""
        arrival = await self._parts.memberships.prepare(room, self.connection, since)
        self._prepared[room] = grant
        return arrival

    def abandon(self, room: str) -> None:
        """It does not come in."""
        self._leave(room)

    def renew(self, room: str, token: TokenMark) -> None:
        """Its subscription has another token."""
        grant = self._grants.get(room)
        if grant is not None:
            self._grants[room] = dataclasses.replace(grant, token=token)

    def info_in(self, room: str) -> ClientInfo:
        """What others in a room see of it."""
        grant = self._grants.get(room)
        if grant is None or grant.info is None:
            return self.info
        return replace(self.info, chan_info=JSON_CODEC.embed(grant.info))

    # What the transport tells

    async def run(self) -> None:
        """Read until the client has gone, then end what it began.

        Raises:
            Disconnected: at the end.
        """
        connection, session = self.connection, self._session
        while True:
            if session.busy and not connection.closed:
                connection.transport.read_ahead()  # else its end would not be seen
                self._quiet = asyncio.Event()
                await self._quiet.wait()
            self.receive(await connection.receive())

    def receive(self, frame: Payload) -> None:
        """Take one frame of the client's."""
        session = self._session
        most = session.frame_limit
        if len(frame) > most // 4 and payload_bytes(frame) > most:
            self.connection.end(CloseCode.MESSAGE_TOO_BIG, f"message over {most} bytes")
            return
        if not self._service.hub.running:
            self.carry_out(session.disconnect(DisconnectCode.SHUTDOWN.disconnect))
            return
        try:
            commands = self.codec.decode_commands(frame)
        except InvalidMessage as error:
            self._service.hub.stats.refuse(error)
            self.carry_out(session.bad_request())
            return
        self.carry_out(session.receive(commands, self._parts.clock.now()))

    async def end(self) -> None:
        """The client has gone: what it published before is still published, everything else is given up."""
        if self._new:
            self._service.newcomers -= 1
        for room in self._grants:
            self._service.ignore(room, self)
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._tasks.finish(self._service.hub.limits.close_timeout)
        finally:
            self.carry_out(self._session.lost())
            self._tasks.cancel()
            for room in [*self._prepared, *self._grants]:
                self._leave(room)

    # What the application wants

    def subscribe(self, room: str, grant: Grant | None = None, *, since: Position | None = None) -> None:
        """Have it in a room; it is told of it. Nothing happens before it is connected."""
        if grant is not None:
            self._offers[room] = grant
        self.carry_out(self._session.subscribe(room, self._parts.clock.now(), position=since))

    def unsubscribe(self, room: str, code: UnsubscribeCode = UnsubscribeCode.SERVER) -> None:
        """Take it out of a room; it is told of it."""
        self.carry_out(self._session.unsubscribe(room, self._parts.clock.now(), code))

    def send(self, data: Payload) -> None:
        """A message to this client alone, outside of all rooms."""
        self.carry_out(self._session.send(data))

    def refresh(self, ttl: float | None) -> None:
        """Its credentials are good for so many seconds more; None for ever."""
        self.carry_out(self._session.refresh(ttl, self._parts.clock.now()))

    def disconnect(self, reason: Disconnect = DisconnectCode.FORCE_NO_RECONNECT.disconnect) -> None:
        """End the connection."""
        self.carry_out(self._session.disconnect(reason))

    # Carrying out

    def carry_out(self, actions: list[Action]) -> None:
        """Do what the session wants, in its order; replies and pushes that come together share a frame."""
        if self._todo is not None:  # we are called by one of the actions
            self._todo += actions
            return
        todo = self._todo = actions
        try:
            for action in todo:  # it may grow meanwhile
                self._do(action)
            self._write()
        except Exception:  # whoever called us, a timer or a broker, has nothing to do with it
            _logger.exception("closing %s", self.connection.id)
            self.connection.end(*SERVER_ERROR)
        finally:
            self._todo = None
        self._schedule()
        if not self._session.busy:
            self._read_on()

    def _do(self, action: Action) -> None:
        match action:
            case Send(reply=reply):
                self._replies.append(self.codec.encode_reply(reply))
            case GoLive():
                self._write()
                self._go_live(action)
            case Close(disconnect=disconnect):
                self._write()
                self.connection.end(disconnect.code, disconnect.short_reason)
            case Unsubscribe():
                self._write()
                self._leave(action.channel)
                if action.call:
                    self._answered(action, Done())
            case Call():
                self._begin(action)

    def _write(self) -> None:
        """Write the replies that have collected, after what was published before."""
        if not self._replies:
            return
        frame = to_frame(self.codec, self.codec.join(self._replies))
        self._replies = []
        self.write(frame)

    def write(self, frame: Payload) -> None:
        """Write a frame, after what was published before."""
        connection = self.connection
        if not connection.closed:
            self._service.hub.flush()
            connection.write([connection.codec.encode(frame)])

    def _schedule(self) -> None:
        """Have `_advance` called in time. A timer that comes too early finds out by itself."""
        due, timer = self._session.due, self._timer
        if due is None:
            if timer is not None:
                timer.cancel()
        elif timer is None or timer.action is None or due < timer.due:
            if timer is not None:
                timer.cancel()
            self._timer = self._parts.clock.at(due, self._advance)

    def _advance(self) -> None:
        self.carry_out(self._session.advance(self._parts.clock.now()))

    # Rooms

    def _go_live(self, live: GoLive) -> None:
        room = live.channel
        grant = self._prepared.pop(room, None)
        if grant is None:
            return
        held = self._held.release(room) if self._held is not None else []
        if self.connection.closed:  # by the reply, which was too much for a slow client
            self._parts.memberships.abandon(room)
            return
        self._service.hub.flush()
        live, pushes, gap = catch_up(self.codec, live, held, self._parts.following.position(room))
        if pushes:
            self.write(to_frame(self.codec, pushes))
        format = self._service.formats(self.codec).of(room, live.delta, live.position)
        self._grants[room] = grant
        try:
            self._parts.memberships.enter(room, self.connection, format)
        except HubbubError as error:  # what is known of it cannot be told to the others there
            _logger.error("%s cannot enter %s: %s", self.connection.id, room, error)
            self._parts.memberships.abandon(room)
            self.unsubscribe(room)
            return
        if live.join_leave:
            self._service.listen(room, self)
        if gap is not None:
            self._lost_some(room, gap)

    def _leave(self, room: str) -> None:
        if self._prepared.pop(room, None) is not None:
            if self._held is not None:
                self._held.release(room)
            self._parts.memberships.abandon(room)
        elif self._grants.pop(room, None) is not None:
            self._service.ignore(room, self)
            self._parts.memberships.leave(room, self.connection)
            self._service.left(self, room)

    def _read_on(self) -> None:
        """It may be read from again, or has ended."""
        if self._quiet is not None:
            self._quiet.set()
            self._quiet = None

    def _lost_some(self, room: str, position: Position) -> None:
        self.carry_out(self._session.insufficient(room, self._parts.clock.now()))

    # Calls

    def _begin(self, call: Call) -> None:
        """Carry out a call: at once, if it needs not wait for anything."""
        try:
            answer = self._calls.perform(self, call)
        except Exception as error:  # noqa: BLE001 - an application's may raise anything
            answer = self._calls.failure(call, error)
        if not isawaitable(answer):
            self._answered(call, answer)
        else:
            self._tasks.add(call, answer)

    def _answered(self, call: Call, answer: Answer) -> None:
        self.carry_out(self._session.answer(call.call, answer, self._parts.clock.now()))
        if isinstance(answer, Subscribed) and isinstance(call, Subscribe) and call.channel in self._prepared:
            self._held = self._held or Held(self._parts.following)
            self._held.hold(call.channel)
