"""One client of the protocol: who it is, and the rooms it is in."""

import asyncio
import dataclasses
import logging
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from hubbub.asgi.events import Scope
from hubbub.centrifuge.actions import Accepted, Answer, Call, Failed, GoLive, Subscribe, Subscribed
from hubbub.centrifuge.codec import Codec, optional
from hubbub.centrifuge.errors import ClientError, Disconnect, DisconnectCode, ErrorCode, UnsubscribeCode
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.results import ClientInfo
from hubbub.centrifuge.terms import Terms
from hubbub.connection import Connection, Joined
from hubbub.core.errors import HubbubError, LimitReached, Refused
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position
from hubbub.gateway.calls import Calls
from hubbub.gateway.driver import Driver
from hubbub.gateway.formats import to_frame
from hubbub.gateway.handlers import NO_TOKEN, Grant, Identity
from hubbub.gateway.held import Held, catch_up
from hubbub.gateway.intake import recognise
from hubbub.gateway.joins import Joins
from hubbub.gateway.later import Maybe
from hubbub.gateway.service import ENDINGS, Service
from hubbub.hub.memberships import Arrival
from hubbub.hub.parts import Parts

BY_APPLICATION: Final = Grant(by_token=True, options={"force_recovery": True})
"""What a client is subscribed with when the application has it join a room."""

_logger = logging.getLogger("hubbub")


class Client(Driver):
    """One client. It is the `Delegate` of its connection.

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
        "_joins",
        "_new",
        "_offers",
        "_prepared",
        "app",
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
        self._calls = calls
        self.scope = scope
        self.token = NO_TOKEN  # its newest
        self.app = ("", "")  # what it calls itself: a name and a version
        self.info = ClientInfo("", connection.id)  # as others see it
        self._offers: dict[str, Grant] = {}  # of rooms that the server will subscribe it to
        self._prepared: dict[str, Grant] = {}  # of rooms that it may come into, but has not yet
        self._grants: dict[str, Grant] = {}  # of the rooms it is in
        self._held: Held | None = None  # None where no reply ever had to wait
        self._joins: Joins | None = None  # None where the application never had it join a room
        self._new = True  # it is not known yet who it is
        service.newcomers += 1
        connection.delegate = self
        connection.endings = ENDINGS
        connection.meter = None  # its commands are counted, not its frames
        super().__init__(service, parts, connection, codec, terms, session)

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
        recognise(self.connection.place, identity.user)
        self.identify(identity)
        self.app = app
        self._offers |= identity.rooms
        self.connection.format = self._service.formats(self.codec).messages
        self._service.newcomers -= 1
        self._new = False
        parts.connections.add(self.connection)
        parts.reception.look_after(self.connection)
        return Accepted(
            identity.ttl,
            identity.client_refresh,
            identity.server_refresh,
            identity.data,
            tuple(identity.rooms),
        )

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
        try:
            arrival = await self._parts.memberships.prepare(room, self.connection, since)
        except HubbubError as error:
            self._cannot_join(room, error)
            raise
        self._prepared[room] = grant
        return arrival

    def abandon(self, room: str) -> None:
        """It does not come in."""
        self._leave(room)

    def renew(self, room: str, grant: Grant) -> None:
        """Its subscription has another token, and other info if there is some."""
        before = self._grants.get(room)
        if before is not None:
            info = before.info if grant.info is None else grant.info
            self._grants[room] = dataclasses.replace(before, token=grant.token, info=info)

    def info_in(self, room: str) -> ClientInfo:
        """What others in a room see of it."""
        grant = self._grants.get(room)
        if grant is None or grant.info is None:
            return self.info
        return replace(self.info, chan_info=JSON_CODEC.embed(grant.info))

    # What its connection tells

    def lost_some(self, room: str, position: Position) -> None:
        """Publications were lost: it has to come back for them."""
        self.carry_out(self._session.insufficient(room, self._parts.clock.now()))

    def ended(self) -> None:
        """The connection has ended."""
        self._read_on()

    async def end(self) -> None:
        """The client has gone: what it published before is still published, everything else is given up."""
        if self._new:
            self._service.newcomers -= 1
        for room in self._grants:
            self._service.ignore(room, self)
        if self._timer is not None:
            self._timer.cancel()
        try:
            if self._tasks is not None:
                await self._tasks.finish(self._service.hub.limits.close_timeout)
        finally:
            self.carry_out(self._session.lost())
            if self._tasks is not None:
                self._tasks.cancel()
            for room in [*self._prepared, *self._grants]:
                self._leave(room)
            if self._joins is not None:
                self._joins.fail_all(self.connection.transport.ended)
            self._tasks = self.connection.delegate = None  # each of them holds the client, too

    # What the application wants

    async def join(self, room: str, since: Position | None = None) -> Joined:
        """Have it in a room; it is told of it. Raises like `Hub.join`.

        A client that is coming into the room by itself is left to that: its own handler may be who asks.
        """
        following = self._parts.following
        if self._parts.memberships.check(room, self.connection):
            return Joined(following.position(room))
        self._joins = self._joins or Joins()
        join = self._joins.get(room)
        if join is None:
            if not self._session.connected:
                raise self.connection.transport.ended()
            match self._session.obstacle(room):
                case ErrorCode.ALREADY_SUBSCRIBED:
                    return Joined(following.position(room))
                case ErrorCode.LIMIT_EXCEEDED:
                    raise LimitReached("No more rooms for this connection")
            join = self._joins.begin(room, since)
            self.subscribe(room, BY_APPLICATION, since=since)
        try:
            return await join.wait()
        except asyncio.CancelledError:
            if join.give_up():
                self.unsubscribe(room)
            raise
        finally:
            del join  # an error that it failed with holds this frame

    def leave(self, room: str) -> None:
        """Take it out of a room; it is told of it."""
        self.unsubscribe(room)

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

    # What its session wants

    def _perform(self, call: Call) -> Maybe[Answer]:
        return self._calls.perform(self, call)

    def _failure(self, call: Call, error: BaseException) -> Failed:
        return self._calls.failure(call, error)

    def _answered(self, call: Call, answer: Answer) -> None:
        if not isinstance(call, Subscribe):
            super()._answered(call, answer)
            return
        if self._joins is not None and call.server_side:
            if isinstance(answer, Subscribed):
                self._joins.prepared(call.channel, answer.position, missed=bool(answer.publications))
            elif isinstance(answer, Failed):
                self._cannot_join(call.channel, _refusal(answer.reason))
        super()._answered(call, answer)
        if isinstance(answer, Subscribed) and call.channel in self._prepared:
            self._held = self._held or Held(self._parts.following)
            self._held.hold(call.channel)

    def _go_live(self, live: GoLive) -> None:
        room = live.channel
        grant = self._prepared.pop(room, None)
        if grant is None:
            return
        held: list[Publication] = []
        if self._held is not None:
            held = self._held.release(room)
            if self._held.empty:  # nothing to keep for as long as the client stays
                self._held = None
        if self.connection.closed:  # by the reply, which was too much for a slow client
            self._parts.memberships.abandon(room)
            return
        self._service.hub.flush()
        live, pushes, gap = catch_up(self.codec, live, held, self._parts.following.position(room))
        if pushes:
            self.write(to_frame(self.codec, pushes))
        format = self._service.formats(self.codec).of(room, live.delta, live.position, live.tags_filter)
        self._grants[room] = grant
        try:
            info = bytes(self.info_in(room).chan_info) or b"null"
            self._parts.memberships.enter(room, self.connection, format, info)
        except HubbubError as error:  # what is known of it cannot be told to the others there
            _logger.error("%s cannot enter %s: %s", self.connection.id, room, error)
            self._parts.memberships.abandon(room)
            self._cannot_join(room, error)
            self.unsubscribe(room)
            return
        if live.join_leave:
            self._service.listen(room, self)
        if self._joins is not None:
            self._joins.entered(room, self._parts.following.position(room))
        if gap is not None:
            self.lost_some(room, gap)

    def _leave(self, room: str) -> None:
        if self._prepared.pop(room, None) is not None:
            if self._held is not None:
                self._held.release(room)
            self._parts.memberships.abandon(room)
            self._cannot_join(room, Refused("It left at once"))
        elif self._grants.pop(room, None) is not None:
            self._service.ignore(room, self)
            self._parts.memberships.leave(room, self.connection)
            self._service.left(self, room)

    def _cannot_join(self, room: str, error: HubbubError) -> None:
        if self._joins is not None:
            self._joins.failed(room, error)


def _refusal(reason: ClientError | Disconnect) -> Refused:
    return Refused(reason.message if isinstance(reason, ClientError) else reason.reason)
