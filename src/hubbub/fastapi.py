"""FastAPI dependencies: one declaration of who may come in, for every way a token can travel.

They need nothing of FastAPI but its calling convention, and work in Starlette routes too::

    auth = Auth(hub, Tokens(SECRET))
    CurrentUser = Annotated[User, Depends(auth)]
"""

import asyncio
import hmac
import inspect
import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeAlias

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from hubbub.application.visitors import VISITOR
from hubbub.asgi import sockets
from hubbub.asgi.errors import SocketRefused
from hubbub.auth import Tickets, Verifier
from hubbub.connection import Connection
from hubbub.core.errors import BrokerError, ConfigurationError, Unauthorized
from hubbub.core.messages import payload_bytes
from hubbub.core.stats import RefusalReason
from hubbub.core.users import User
from hubbub.hub import Hub
from hubbub.keys import shown_api_key

_logger = logging.getLogger("hubbub")

Sessions: TypeAlias = Callable[[str], User | Awaitable[User | None] | None]
"""Looks up the user of a session cookie; None for a session that is not valid."""


class Source(Enum):
    """The ways a client can show who it is."""

    SUBPROTOCOL = "subprotocol"
    """``new WebSocket(url, ["bearer", token])``."""

    TICKET = "ticket"
    """``?ticket=…``, fetched over HTTP just before, good once and for 60 seconds."""

    QUERY = "query"
    """``?token=…``. It ends up in the logs of proxies: prefer any other."""

    COOKIE = "cookie"
    """The cookie of a login over HTTP."""

    FIRST_MESSAGE = "first_message"
    """``{"token": "…"}`` as the first message."""


class Auth:
    """A dependency that gives the `User`, or refuses the client.

    The first credentials found count, in the order of `Source`; only without any does it wait for a first
    message. A refused client is accepted, told ``{"type":"error","msg":"Unauthorized"}`` and closed with
    1008, so that a browser sees the code. When the credentials end on an open socket, it is closed with 4401.
    Who is blocked, or shows a token that was revoked, is refused, too.

    Args:
        hub: whose `origins` and `limits` apply.
        tokens: knows the user of a token.
        sources: the ways that are open.
        tickets: needed for `Source.TICKET`.
        sessions: looks up the cookie; without it the cookie is a token.
        cookie: its name.

    Raises:
        ConfigurationError: if tickets are asked for and none are given.
    """

    def __init__(
        self,
        hub: Hub,
        tokens: Verifier,
        *,
        sources: tuple[Source, ...] = (
            Source.SUBPROTOCOL,
            Source.QUERY,
            Source.COOKIE,
            Source.FIRST_MESSAGE,
        ),
        tickets: Tickets | None = None,
        sessions: Sessions | None = None,
        cookie: str = "session",
    ) -> None:
        self._hub = hub
        self._tokens = tokens
        self._sources = (*sources, Source.TICKET) if tickets and Source.TICKET not in sources else sources
        self._tickets = tickets
        self._sessions = sessions
        self._cookie = cookie
        if Source.TICKET in self._sources and tickets is None:
            raise ConfigurationError("Source.TICKET needs tickets=Tickets(secret, hub.claim)")

    def only(self, *sources: Source) -> "Auth":
        """The same declaration, with these ways open and no others."""
        return Auth(
            self._hub,
            self._tokens,
            sources=sources,
            tickets=self._tickets if Source.TICKET in sources else None,
            sessions=self._sessions,
            cookie=self._cookie,
        )

    async def __call__(self, websocket: WebSocket) -> User:
        """The user behind a WebSocket.

        Raises:
            SocketRefused: if there is none; FastAPI and Starlette then close the socket.
        """
        stats = self._hub.stats
        try:
            sockets.check_origin(websocket, self._hub.origins)
        except SocketRefused:
            stats.refuse(RefusalReason.ORIGIN)
            raise
        if self._hub.running:
            await self._hub.parts.reception.knock(websocket)
        try:
            user = await self._from_handshake(websocket)
            if user is None:
                user = await self._from_first_message(websocket)
            self._hub.check_user(user)
        except Unauthorized as error:
            stats.refuse(error)
            _logger.info("refused %r: %s", websocket.scope["path"], error.detail)
            await sockets.tell(websocket, '{"type":"error","msg":"Unauthorized"}')
            raise SocketRefused(error) from error
        except BrokerError as error:
            _logger.error("refused %r: %s: %s", websocket.scope["path"], type(error).__name__, error)
            await sockets.tell(websocket, '{"type":"error","msg":"Try again later"}')
            raise SocketRefused(BrokerError("Try again later")) from error
        websocket.scope[sockets.USER] = user
        return user

    async def http(self, request: Request) -> User:
        """The user behind an HTTP request, by its ``Authorization: Bearer`` header or its cookie.

        Raises:
            HTTPException: 401 if there is none.
        """
        try:
            user = await self._from_request(request)
            self._hub.check_user(user)
        except Unauthorized as error:
            self._hub.stats.refuse(error)
            _logger.info("refused %r: %s", request.scope["path"], error.detail)
            raise HTTPException(401, "Unauthorized", {"WWW-Authenticate": "Bearer"}) from error
        return user

    def ticket(self, user: User, request: Request) -> str:
        """A one-time ticket for the user, for pages of the request's origin.

        Raises:
            ConfigurationError: without `tickets`.
        """
        if self._tickets is None:
            raise ConfigurationError("ticket() needs tickets=Tickets(secret, hub.claim)")
        return self._tickets.issue(user, request.headers.get("origin"))

    async def _from_request(self, request: Request) -> User:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._tokens.verify(token.strip())
        session = self._session(request)
        if session is None:
            raise Unauthorized
        return await self._from_session(session)

    async def _from_handshake(self, websocket: WebSocket) -> User | None:
        """The user of the first credentials in the handshake; None if it has none."""
        for source in Source:
            credentials = self._find(source, websocket) if source in self._sources else None
            if credentials is None:
                continue
            if source is Source.TICKET and self._tickets is not None:
                return await self._tickets.redeem(credentials, websocket.headers.get("origin"))
            if source is Source.COOKIE:
                return await self._from_session(credentials)
            return self._tokens.verify(credentials)
        return None

    def _find(self, source: Source, websocket: WebSocket) -> str | None:
        if source is Source.SUBPROTOCOL:
            offered: list[str] = websocket.scope.get("subprotocols", [])
            return offered[1] if len(offered) == 2 and offered[0] == sockets.BEARER else None
        if source is Source.COOKIE:
            return self._session(websocket)
        if source is Source.TICKET:
            return websocket.query_params.get("ticket")
        return websocket.query_params.get("token") if source is Source.QUERY else None

    def _session(self, connection: HTTPConnection) -> str | None:
        # Starlette's parser, not `http.cookies`: that one drops all that follows a cookie it does not like.
        return connection.cookies.get(self._cookie)

    async def _from_session(self, session: str) -> User:
        if self._sessions is None:
            return self._tokens.verify(session)
        found = self._sessions(session)
        user = await found if inspect.isawaitable(found) else found
        if user is None:
            raise Unauthorized("unknown session")
        return user

    async def _from_first_message(self, websocket: WebSocket) -> User:
        if Source.FIRST_MESSAGE not in self._sources:
            raise Unauthorized
        if not self._hub.running:
            return await self._hear(websocket)
        async with self._hub.parts.reception.newcomer(websocket):
            return await self._hear(websocket)

    async def _hear(self, websocket: WebSocket) -> User:
        """The user of the first message."""
        await sockets.accept(websocket)
        limits = self._hub.limits
        try:
            async with asyncio.timeout(limits.first_message_timeout):
                event = await websocket.receive()
        except TimeoutError:
            raise Unauthorized(f"no first message within {limits.first_message_timeout} s") from None
        if event["type"] == "websocket.disconnect":
            raise Unauthorized("left before the first message")
        text = event.get("text")
        if text is None or payload_bytes(text) > limits.first_message_bytes:
            raise Unauthorized("first message is not a short text")
        try:
            return self._tokens.verify(msgspec.json.decode(text, type=_FirstMessage).token)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            raise Unauthorized("first message is not a token") from None


class _FirstMessage(msgspec.Struct):
    token: str


class ApiKey:
    """A dependency for HTTP routes: the key in ``X-API-Key`` or ``Authorization: apikey …``.

    Args:
        key: the key; None refuses everybody.
    """

    __slots__ = ("_key",)

    def __init__(self, key: str | None) -> None:
        self._key = key

    async def __call__(self, request: Request) -> None:
        """Raises `HTTPException`: 401 for a wrong or missing key, 403 while no key is set."""
        if not self._key:
            raise HTTPException(403, "No API key is set: this is switched off")
        if not hmac.compare_digest(shown_api_key(request.headers), self._key.encode()):
            raise HTTPException(401, "Wrong or missing API key", {"WWW-Authenticate": "apikey"})


def current_client(connection: HTTPConnection) -> Connection:
    """A dependency for handlers of events (`Hub.room`, `Hub.rpc`): the client whose event it is::

        Client = Annotated[Connection, Depends(current_client)]

    Raises:
        ConfigurationError: anywhere else.
    """
    visitor = connection.scope.get(VISITOR)
    if visitor is None:
        raise ConfigurationError("current_client is for handlers of a hub's events")
    client: Connection = visitor.connection
    return client
