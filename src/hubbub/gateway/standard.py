"""The handlers that go by tokens and by the options of rooms, and know no methods."""

import logging
from dataclasses import replace
from typing import Final

from hubbub.centrifuge.errors import ErrorCode
from hubbub.core.errors import Refused, Unauthorized
from hubbub.core.messages import Payload
from hubbub.core.options import Allow
from hubbub.gateway.claims import read_grant, read_identity
from hubbub.gateway.handlers import CommandFailed, Credentials, Draft, Grant, Identity, Visitor
from hubbub.gateway.later import Maybe, then
from hubbub.gateway.permissions import Permissions, PersonalRooms
from hubbub.gateway.tokens import Claims, TokenVerifier
from hubbub.hub import Hub

_TOKEN: Final = Allow.TOKEN
_ANYBODY: Final = Identity()
_ALLOWED: Final = Grant()  # one for all: neither is changed by anybody
_logger = logging.getLogger("hubbub")


class StandardHandlers:
    """`Handlers` for an application that leaves everything to tokens and options.

    Args:
        hub: knows the rooms' options.
        tokens: checks connection tokens; None lets nobody in who shows one.
        subscription_tokens: checks subscription tokens; `tokens` unless given.
        anonymous: let clients in that show no token, or one whose `sub` is empty.
        personal_room: a name like ``"user:{id}"``: every user's connections are in the user's own room.
    """

    __slots__ = (
        "_anonymous",
        "_hub",
        "_permissions",
        "_personal",
        "_subscription_tokens",
        "_tokens",
        "_told",
    )

    def __init__(
        self,
        hub: Hub,
        tokens: TokenVerifier | None = None,
        *,
        subscription_tokens: TokenVerifier | None = None,
        anonymous: bool = False,
        personal_room: str | None = None,
    ) -> None:
        self._hub = hub
        self._tokens = tokens
        self._subscription_tokens = subscription_tokens or tokens
        self._anonymous = anonymous
        self._told = False
        self._personal = PersonalRooms(hub, personal_room) if personal_room is not None else None
        self._permissions = Permissions(hub, self._personal)

    def knows(self, room: str) -> bool:
        """Whether there can be a room of that name: it fits a pattern, or is a user's own."""
        return self._hub.options(room) is not None or (self._personal is not None and room in self._personal)

    # Who it is

    def authenticate(self, visitor: Visitor, credentials: Credentials) -> Maybe[Identity]:
        """By the token; without one only where `anonymous` allows it."""
        if credentials.token:
            return then(self._claims(credentials.token), self._identity)
        if not self._anonymous:
            self._tell_how_to_let_in()
            raise Unauthorized("no token")
        return _ANYBODY

    def _tell_how_to_let_in(self) -> None:
        """Say once, where nobody can come in whatever they show, what the application may have forgotten."""
        if self._tokens is None and not self._told:
            self._told = True
            _logger.warning(
                "refusing all clients of the Centrifuge protocol: a hub made with neither"
                " Hub(tokens=TokenVerifier(...)) nor Hub(anonymous=True) lets none in"
            )

    def refresh(self, visitor: Visitor, token: str) -> Maybe[Identity]:
        """By the new token, which has to be the same user's."""
        user = visitor.connection.user

        def same(claims: Claims) -> Identity:
            identity = self._identity(claims)
            if (identity.user.id if identity.user else None) != (user.id if user else None):
                raise Unauthorized("a token of another user")
            return identity

        return then(self._claims(token), same)

    def _claims(self, token: str) -> Maybe[Claims]:
        if self._tokens is None:
            raise Unauthorized("no key for tokens")
        return self._tokens.claims(token)

    def _identity(self, claims: Claims) -> Identity:
        return self._admit(read_identity(claims, anonymous=self._anonymous))

    def _admit(self, identity: Identity) -> Identity:
        """The same with the user's own room. Raises `CommandFailed` (102) if one of its rooms cannot be."""
        if any(self._hub.options(room) is None for room in identity.rooms):
            raise CommandFailed(ErrorCode.UNKNOWN_CHANNEL)
        if self._personal is None or identity.user is None:
            return identity
        room = self._personal.of(identity.user)
        if room is None:
            _logger.warning("no personal room for user %r: no room can have that name", identity.user.id)
            return identity
        return replace(identity, rooms={room: Grant(by_token=True), **identity.rooms})

    # What it may do

    def may_subscribe(self, visitor: Visitor, room: str, token: str, data: Payload | None) -> Maybe[Grant]:
        """By a token for the room, or by the room's `allow_subscribe`."""
        options = self._permissions.options(visitor, room)
        if token:
            return self.refresh_subscription(visitor, room, token)
        if options.allow_subscribe is _TOKEN:
            raise Refused("A subscription token is needed")
        self._permissions.check(options.allow_subscribe, visitor, room)
        return _ALLOWED

    def refresh_subscription(self, visitor: Visitor, room: str, token: str) -> Maybe[Grant]:
        """By the token."""
        if self._subscription_tokens is None:
            raise Refused("There is no key for subscription tokens")
        connection = visitor.connection
        user = connection.user.id if connection.user else ""

        def read(claims: Claims) -> Grant:
            return read_grant(claims, user=user, client=connection.id, room=room)

        return then(self._subscription_tokens.claims(token), read)

    def may_publish(self, visitor: Visitor, room: str, data: Payload) -> Maybe[Payload | Draft]:
        """By the room's `allow_publish`."""
        self._permissions.check(self._permissions.options(visitor, room).allow_publish, visitor, room)
        return data

    def may_read_history(self, visitor: Visitor, room: str) -> Maybe[None]:
        """By the room's `allow_history`; 108 where there is none."""
        options = self._permissions.options(visitor, room)
        if options.history is None:
            raise CommandFailed(ErrorCode.NOT_AVAILABLE)
        self._permissions.check(options.allow_history, visitor, room)
        return None

    def may_see_presence(self, visitor: Visitor, room: str) -> Maybe[None]:
        """By the room's `allow_presence`; 108 where nothing is known."""
        options = self._permissions.options(visitor, room)
        if not options.presence:
            raise CommandFailed(ErrorCode.NOT_AVAILABLE)
        self._permissions.check(options.allow_presence, visitor, room)
        return None

    def left(self, visitor: Visitor, room: str) -> Maybe[None]:
        """Nothing to do."""
        return None

    # What it calls

    def rpc(self, visitor: Visitor, method: str, data: Payload | None) -> Maybe[Payload | None]:
        """There are no methods (104)."""
        raise CommandFailed(ErrorCode.METHOD_NOT_FOUND)

    def message(self, visitor: Visitor, data: Payload) -> Maybe[None]:
        """Nobody takes messages (3508)."""
        raise CommandFailed(ErrorCode.NOT_AVAILABLE)
