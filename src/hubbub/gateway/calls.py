"""Carrying out the calls of sessions on a hub, as the application's handlers allow."""

import logging
from dataclasses import replace
from functools import partial
from typing import Protocol

from hubbub.centrifuge import actions
from hubbub.centrifuge.actions import Accepted, Answer, Call, Done, Failed, Page, Refreshed, Returned
from hubbub.centrifuge.codec import optional
from hubbub.centrifuge.errors import ErrorCode, error_for
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.publishers import name_publisher
from hubbub.centrifuge.results import ClientInfo
from hubbub.core.errors import (
    BrokerError,
    ConfigurationError,
    HistoryGone,
    HubbubError,
    Refused,
    Unauthorized,
)
from hubbub.core.messages import Payload
from hubbub.core.options import RoomOptions
from hubbub.core.outbox import Overflow
from hubbub.core.positions import Position
from hubbub.core.presence import Present
from hubbub.core.presence_messages import MAX_INFO_BYTES
from hubbub.core.users import User
from hubbub.gateway.handlers import (
    CommandFailed,
    Credentials,
    Draft,
    Grant,
    Handlers,
    Identity,
    Visitor,
)
from hubbub.gateway.later import Maybe, at_once, then
from hubbub.gateway.permissions import permits
from hubbub.gateway.reading import read_history
from hubbub.gateway.refusals import count_refusal
from hubbub.gateway.service import member_info
from hubbub.gateway.tokens import TokenExpired
from hubbub.hub import Hub
from hubbub.hub.memberships import Arrival

_DONE = Done()
_logger = logging.getLogger("hubbub")


class Caller(Visitor, Protocol):
    """The client whose calls these are."""

    @property
    def info(self) -> ClientInfo:
        """What others see of it."""
        ...

    def introduce(self, identity: Identity, app: tuple[str, str]) -> Accepted:
        """It is known who it is, and what it calls itself."""
        ...

    def identify(self, identity: Identity) -> None:
        """Something else is known about it."""
        ...

    def offer(self, room: str) -> Grant:
        """What the server subscribes it with."""
        ...

    async def prepare(self, room: str, grant: Grant, since: Position | None) -> Arrival:
        """Follow the room for it, so that it can come in."""
        ...

    def abandon(self, room: str) -> None:
        """It does not come in."""
        ...

    def renew(self, room: str, grant: Grant) -> None:
        """Its subscription has another token, and perhaps something else to be known about it."""
        ...

    def info_in(self, room: str) -> ClientInfo:
        """What others in a room see of it."""
        ...


class Screen(Protocol):
    """Knows what was revoked."""

    def check_identity(self, identity: Identity) -> Identity:
        """The identity, unless it is refused."""
        ...

    def check_grant(self, user: User | None, room: str, grant: Grant) -> Grant:
        """The subscription, unless it is refused."""
        ...


class Calls:
    """Answers calls.

    Args:
        hub: the hub.
        handlers: the application's.
        screen: refuses what was revoked.
    """

    __slots__ = ("_handlers", "_hub", "_screen")

    def __init__(self, hub: Hub, handlers: Handlers, screen: Screen) -> None:
        self._hub = hub
        self._handlers = handlers
        self._screen = screen

    def perform(self, client: Caller, call: Call) -> Maybe[Answer]:
        """Carry a call out. What it raises, at once or later, `failure` makes an answer of."""
        handlers = self._handlers
        if isinstance(call, actions.Publish):
            return self._publish(client, call)
        if isinstance(call, actions.Subscribe):
            return self._subscribe(client, call)
        if isinstance(call, actions.Authenticate):
            return self._authenticate(client, call)
        match call:  # the seldom ones: it takes several times as long as `isinstance`
            case actions.Refresh():
                return then(handlers.refresh(client, call.token), partial(self._refreshed, client))
            case actions.SubRefresh():
                found = handlers.refresh_subscription(client, call.channel, call.token)
                return then(found, partial(self._prolonged, client, call.channel))
            case actions.History():
                return self._history(client, call)
            case actions.Presence():
                return self._presence(client, call.channel)
            case actions.PresenceStats():
                return self._presence_stats(client, call.channel)
            case actions.Rpc():
                return then(handlers.rpc(client, call.method, call.data), Returned)
            case actions.Message():
                return then(handlers.message(client, call.data), lambda _: _DONE)
            case _:
                raise CommandFailed(ErrorCode.NOT_AVAILABLE)

    def failure(self, call: Call, error: BaseException) -> Failed:
        """What a client is told of an error."""
        count_refusal(self._hub.stats, error)
        if isinstance(error, CommandFailed):
            return Failed(error.reason)
        if isinstance(error, TokenExpired):
            # The subscription's new token is old: only for the first one is another fetched.
            renewed = isinstance(call, actions.SubRefresh)
            return Failed((ErrorCode.EXPIRED if renewed else ErrorCode.TOKEN_EXPIRED).error)
        if isinstance(error, Unauthorized):
            _logger.info("refused a token: %s", error.detail)
            if isinstance(call, actions.Subscribe | actions.SubRefresh):
                return Failed(ErrorCode.PERMISSION_DENIED.error)
        elif isinstance(error, BrokerError) and not isinstance(error, HistoryGone):
            _logger.error("%s: %s: %s", type(call).__name__, type(error).__name__, error)
        elif isinstance(error, ConfigurationError) or not isinstance(error, HubbubError):
            _logger.error("%s failed", type(call).__name__, exc_info=error)
        return Failed(error_for(error))

    # Connecting

    def _authenticate(self, client: Caller, call: actions.Authenticate) -> Maybe[Answer]:
        shown = Credentials(call.token, call.data, call.name, call.version, call.headers)
        identity = self._handlers.authenticate(client, shown)
        if isinstance(identity, Identity):
            return self._introduce(client, shown, identity)
        return then(identity, partial(self._introduce, client, shown))

    def _introduce(self, client: Caller, shown: Credentials, identity: Identity) -> Answer:
        return client.introduce(self._screen.check_identity(identity), (shown.name, shown.version))

    def _refreshed(self, client: Caller, identity: Identity) -> Answer:
        client.identify(self._screen.check_identity(identity))
        return Refreshed(identity.ttl)

    def _prolonged(self, client: Caller, room: str, grant: Grant) -> Answer:
        self._screen.check_grant(client.connection.user, room, grant)
        client.renew(room, grant)
        return Refreshed(grant.ttl)

    # Subscribing

    def _subscribe(self, client: Caller, call: actions.Subscribe) -> Maybe[Answer]:
        if call.server_side:
            return self._prepare(client, call, client.offer(call.channel))
        granted = self._handlers.may_subscribe(client, call.channel, call.token, call.data)
        if not isinstance(granted, Grant):
            return self._prepare_later(client, call, granted)
        preparing = self._prepare(client, call, granted)
        # Where the broker has nobody wait, a task would be the dearest part of it.
        return at_once(preparing) if self._hub.parts.broker.immediate else preparing

    async def _prepare_later(self, client: Caller, call: actions.Subscribe, granted: Maybe[Grant]) -> Answer:
        return await self._prepare(client, call, granted if isinstance(granted, Grant) else await granted)

    async def _prepare(self, client: Caller, call: actions.Subscribe, grant: Grant) -> Answer:
        """Follow the room. Nothing is awaited after that, so that the answer is exact."""
        room, options = call.channel, self._options(call.channel, grant)
        if options.presence:
            for info in (client.info.conn_info, optional(JSON_CODEC, grant.info)):
                if len(bytes(info)) > MAX_INFO_BYTES:
                    raise Refused(f"More than {MAX_INFO_BYTES} bytes of info cannot be told to others")
        keeps = options.history is not None
        asks_recovery, asks_positions = call.recoverable or call.since is not None, call.positioned
        if asks_recovery or asks_positions:
            sees_past = permits(options.allow_history, client.connection.user, grant)
            asks_recovery = asks_recovery and (options.allow_recovery or sees_past)
            asks_positions = asks_positions and (options.allow_positioning or sees_past)
        recoverable = keeps and (options.force_recovery or asks_recovery)
        positioned = recoverable or (keeps and (options.force_positioning or asks_positions))
        delta = options.delta is not None and options.overflow is Overflow.DISCONNECT
        if call.tags_filter is not None and not options.allow_tags_filter:
            raise CommandFailed(ErrorCode.BAD_REQUEST)
        since = call.since if recoverable else None
        if since is not None and options.cache:
            since = await self._before_newest(room)
        self._screen.check_grant(client.connection.user, room, grant)
        arrival = await client.prepare(room, grant, since)
        try:
            self._screen.check_grant(client.connection.user, room, grant)
        except Unauthorized:
            client.abandon(room)
            raise
        return actions.Subscribed(
            arrival.position if positioned or delta else None,
            recoverable=recoverable,
            publications=arrival.missed,
            cache=options.cache,
            ttl=grant.ttl,
            client_refresh=grant.client_refresh,
            server_refresh=grant.server_refresh,
            data=grant.data,
            delta=delta,
            join_leave=options.presence
            and (options.force_push_join_leave or (options.join_leave and call.join_leave)),
        )

    def _options(self, room: str, grant: Grant) -> RoomOptions:
        """The room's, with what the grant has in their place."""
        options = self._hub.options(room) or RoomOptions()
        if not grant.options:
            return options
        changes = {name: value for name, value in grant.options.items() if name in _CHANGEABLE}
        if options.history is None:
            changes.pop("force_recovery", None)
            changes.pop("force_positioning", None)
        if not options.presence:
            changes |= {"join_leave": False, "force_push_join_leave": False}
        return replace(options, **changes)  # type: ignore[arg-type] # all of them are bool

    async def _before_newest(self, room: str) -> Position:
        """The place just before the newest publication that is kept: what follows is it, and what comes."""
        page = await self._hub.history(room, limit=1, reverse=True)
        newest = page.publications[0].position if page.publications else None
        return Position(newest.epoch, newest.offset - 1) if newest is not None else page.position

    # Publications

    def _publish(self, client: Caller, call: actions.Publish) -> Maybe[Answer]:
        data = self._handlers.may_publish(client, call.channel, call.data)
        if isinstance(data, str | bytes):
            publishing = self._publish_data(client, call.channel, data)
            # A task for each would end the turn between two publications, and with it every burst.
            return at_once(publishing) if self._hub.parts.broker.immediate else publishing
        return self._publish_later(client, call.channel, data)

    async def _publish_later(self, client: Caller, room: str, found: Maybe[Payload | Draft]) -> Answer:
        draft = found if isinstance(found, str | bytes | Draft) else await found
        if isinstance(draft, Draft):
            return await self._publish_draft(client, room, draft)
        return await self._publish_data(client, room, draft)

    async def _publish_data(self, client: Caller, room: str, data: Payload) -> Answer:
        self._hub.limits.check_room_name(room)
        publisher = name_publisher(client.info_in(room))
        await self._hub.parts.publish(room, data, publisher=publisher)
        return _DONE

    async def _publish_draft(self, client: Caller, room: str, draft: Draft) -> Answer:
        self._hub.limits.check_room_name(room)
        parts, publisher = self._hub.parts, name_publisher(client.info_in(room))
        tags, key = draft.tags, draft.idempotency_key
        if draft.kept:
            await parts.publish(room, draft.data, publisher=publisher, tags=tags, idempotency_key=key)
        else:
            await parts.broker.publish(room, draft.data, publisher=publisher, tags=tags, idempotency_key=key)
        return _DONE

    async def _history(self, client: Caller, call: actions.History) -> Answer:
        allowed = self._handlers.may_read_history(client, call.channel)
        if allowed is not None:
            await allowed
        page = await read_history(self._hub, call.channel, call.since, call.limit, reverse=call.reverse)
        return Page(page.publications, page.position)

    # Presence

    async def _presence(self, client: Caller, room: str) -> Answer:
        found = await self._present(client, room)
        return actions.Present({one.client: member_info(one) for present in found for one in present.members})

    async def _presence_stats(self, client: Caller, room: str) -> Answer:
        found = await self._present(client, room)
        # All that are nobody count as one user.
        users = {present.user for present in found}
        return actions.Counted(sum(len(present.members) for present in found), len(users))

    async def _present(self, client: Caller, room: str) -> list[Present]:
        allowed = self._handlers.may_see_presence(client, room)
        if allowed is not None:
            await allowed
        return await self._hub.presence(room)


_CHANGEABLE = frozenset({"join_leave", "force_push_join_leave", "force_recovery", "force_positioning"})
