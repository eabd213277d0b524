"""The gateway's handlers for a server with hooks: a backend where it is to be asked, else as without."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from hubbub.application.handlers import AppHandlers, Functions
from hubbub.centrifuge.errors import ErrorCode
from hubbub.connection import Connection
from hubbub.core.messages import Json, Payload
from hubbub.core.patterns import Patterns
from hubbub.core.users import User
from hubbub.gateway.handlers import CommandFailed, Credentials, Draft, Grant, Identity, Visitor
from hubbub.gateway.later import Maybe, then
from hubbub.gateway.tokens import TokenVerifier
from hubbub.hub import Hub
from hubbub.server.hooks.backend import Backend, Unanswered
from hubbub.server.hooks.headers import HookHeaders
from hubbub.server.hooks.results import Words, read_draft, read_newcomer, read_returned, read_words
from hubbub.server.hooks.wire import Answer, Event, PublishResult, Question, RpcResult, data_fields
from hubbub.server.settings import RoomTable

RESPITE: Final = 60.0
"""Seconds that a session goes on if its backend cannot be asked whether it does."""

_said: Final = msgspec.json.Decoder(Answer[dict[str, Any]])
_publish: Final = msgspec.json.Decoder(Answer[PublishResult])
_rpc: Final = msgspec.json.Decoder(Answer[RpcResult])


@dataclass(slots=True)
class _Known:
    """What is kept of a client for later questions."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Those of its connect message that are passed on."""

    meta: msgspec.Raw | None = None
    """What the backend said about it; no client is told."""


class HookHandlers(AppHandlers):
    """Asks a backend for what it is configured for. A token is never asked about: it says all by itself.

    Args:
        hub: knows the rooms' options.
        functions: the application's; they are called before anybody is asked.
        backend: is asked.
        headers: of its questions.
        rooms: whether it is asked about a room, by the pattern of its name.
        binary: all data goes in base64.
        tokens: checks connection tokens.
        anonymous: let clients in that show no token, where nobody is asked about them.
        personal_room: a name like ``"user:{id}"``: every user's connections are in the user's own room.
    """

    __slots__ = ("_backend", "_binary", "_headers", "_known", "_tables")

    def __init__(
        self,
        hub: Hub,
        functions: Functions,
        backend: Backend,
        headers: HookHeaders,
        rooms: Mapping[str, RoomTable],
        *,
        binary: bool = False,
        tokens: TokenVerifier | None = None,
        anonymous: bool = False,
        personal_room: str | None = None,
    ) -> None:
        super().__init__(hub, functions, tokens, anonymous=anonymous, personal_room=personal_room)
        self._backend = backend
        self._headers = headers
        self._binary = binary
        self._known: WeakKeyDictionary[Connection, _Known] = WeakKeyDictionary()
        self._tables: Patterns[RoomTable] = Patterns()
        for pattern, table in rooms.items():
            self._tables.add(pattern, table)

    # The connection

    def authenticate(self, visitor: Visitor, credentials: Credentials) -> Maybe[Identity]:
        """By the token; without one by the backend's answer."""
        if chosen := self._headers.chosen(credentials.headers):
            self._known[visitor.connection] = _Known(chosen)
        if not credentials.token and self._backend.asked(Event.CONNECT):
            return self._connect(visitor, credentials)
        identity = super().authenticate(visitor, credentials)
        return then(identity, self._refreshed_here) if self._backend.asked(Event.REFRESH) else identity

    async def _connect(self, visitor: Visitor, shown: Credentials) -> Identity:
        question = self._question(visitor, shown.data, name=shown.name, version=shown.version)
        headers = self._headers_of(visitor)
        found = await self._backend.ask(Event.CONNECT, question, headers, _said, read_newcomer)
        self._keep_meta(visitor, found.meta)
        return self._refreshed_here(self._admit(found.identity))

    def _refreshed_here(self, identity: Identity) -> Identity:
        """The same without new tokens of the client: the backend is asked instead, if it can be."""
        return replace(identity, client_refresh=False, server_refresh=self._backend.asked(Event.REFRESH))

    def refresh(self, visitor: Visitor, token: str) -> Maybe[Identity]:
        """By the new token; without one, at the end of the session, by the backend's answer."""
        return super().refresh(visitor, token) if token else self._refresh(visitor)

    async def _refresh(self, visitor: Visitor) -> Identity:
        try:
            said = await self._ask_said(Event.REFRESH, self._question(visitor, user=_user(visitor)), visitor)
        except Unanswered:
            return _prolonged(visitor, RESPITE)
        grant = said.grant
        if said.expired or grant.ttl is None or grant.ttl <= 0:
            raise CommandFailed(ErrorCode.EXPIRED)
        self._keep_meta(visitor, said.meta)
        identity = _prolonged(visitor, grant.ttl)
        return identity if grant.info is None else replace(identity, info=grant.info)

    # Rooms

    def may_subscribe(self, visitor: Visitor, room: str, token: str, data: Payload | None) -> Maybe[Grant]:
        """By a token, by the backend's answer, or as without a backend; also after a reconnect."""
        table = self._tables.find(room)
        if token or table is None or not table.subscribe_hook or self._is_personal(room):
            grant = super().may_subscribe(visitor, room, token, data)
        else:
            self._permissions.options(visitor, room)
            grant = self._ask_to_subscribe(visitor, room, data)
        return then(grant, _asked_again) if table is not None and table.sub_refresh_hook else grant

    async def _ask_to_subscribe(self, visitor: Visitor, room: str, data: Payload | None) -> Grant:
        question = self._question(visitor, data, user=_user(visitor), channel=room)
        said = await self._ask_said(Event.SUBSCRIBE, question, visitor)
        return replace(said.grant, client_refresh=False)

    def refresh_subscription(self, visitor: Visitor, room: str, token: str) -> Maybe[Grant]:
        """By the new token; without one, at the end of the subscription, by the backend's answer."""
        return super().refresh_subscription(visitor, room, token) if token else self._go_on(visitor, room)

    async def _go_on(self, visitor: Visitor, room: str) -> Grant:
        before = visitor.grant(room) or Grant()
        question = self._question(visitor, user=_user(visitor), channel=room)
        try:
            said = await self._ask_said(Event.SUB_REFRESH, question, visitor)
        except Unanswered:
            return replace(before, ttl=RESPITE)
        if said.expired:
            raise CommandFailed(ErrorCode.EXPIRED)
        return replace(before, ttl=said.grant.ttl, info=said.grant.info)

    def may_publish(self, visitor: Visitor, room: str, data: Payload) -> Maybe[Payload | Draft]:
        """By the backend's answer, or as without one."""
        table = self._tables.find(room)
        if table is None or not table.publish_hook:
            return super().may_publish(visitor, room, data)
        self._permissions.options(visitor, room)
        return self._ask_to_publish(visitor, room, data)

    async def _ask_to_publish(self, visitor: Visitor, room: str, data: Payload) -> Draft:
        question = self._question(visitor, data, user=_user(visitor), channel=room)
        headers = self._headers_of(visitor)
        read = partial(read_draft, data)
        draft = await self._backend.ask(Event.PUBLISH, question, headers, _publish, read)
        if draft is None:
            raise CommandFailed(ErrorCode.NOT_AVAILABLE)
        return draft

    # Methods

    def rpc(self, visitor: Visitor, method: str, data: Payload | None) -> Maybe[Payload | None]:
        """Call the server's own method of that name, or have the backend carry it out."""
        if method in self._functions.methods or not self._backend.asked(Event.RPC):
            return super().rpc(visitor, method, data)
        question = self._question(visitor, data, user=_user(visitor), method=method)
        return self._backend.ask(Event.RPC, question, self._headers_of(visitor), _rpc, read_returned)

    # Questions

    def _keep_meta(self, visitor: Visitor, meta: msgspec.Raw | None) -> None:
        if meta is not None:
            self._known.setdefault(visitor.connection, _Known()).meta = meta

    def _is_personal(self, room: str) -> bool:
        return self._personal is not None and room in self._personal

    def _headers_of(self, visitor: Visitor) -> list[tuple[str, str]]:
        known = self._known.get(visitor.connection)
        return self._headers.of(visitor.scope, known.headers if known is not None else {})

    def _question(self, visitor: Visitor, data: Payload | None = None, **fields: Any) -> Question:
        connection = visitor.connection
        known = self._known.get(connection)
        meta = known.meta if known is not None else None
        if meta is None and connection.user is not None and "meta" in connection.user.claims:
            meta = msgspec.Raw(msgspec.json.encode(connection.user.claims["meta"]))
        return Question(
            client=connection.id,
            transport=connection.via,
            protocol=visitor.codec.name,
            meta=meta,
            **data_fields(data, binary=self._binary),
            **fields,
        )

    async def _ask_said(self, event: Event, question: Question, visitor: Visitor) -> Words:
        return await self._backend.ask(event, question, self._headers_of(visitor), _said, read_words)


def _user(visitor: Visitor) -> str:
    user = visitor.connection.user
    return user.id if user is not None else ""


def _asked_again(grant: Grant) -> Grant:
    """The same without new tokens of the client: the backend is asked at its end."""
    return replace(grant, client_refresh=False, server_refresh=grant.ttl is not None)


def _prolonged(visitor: Visitor, ttl: float) -> Identity:
    """Who the client was, for so many seconds more."""
    connection = visitor.connection
    user, info = connection.user, connection.info
    if user is not None:
        user = User(user.id, user.claims, time.time() + ttl)
    shown = Json(msgspec.json.encode(info).decode()) if info is not None else None
    return Identity(user, shown, ttl, server_refresh=True, token=visitor.token)
