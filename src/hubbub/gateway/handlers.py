"""What an application decides: who a client is, what it may do, and what its calls do.

Every method may answer at once or return an awaitable. It refuses by raising: an error of the hub becomes the
protocol's code for it (`errors.error_for`), a `CommandFailed` says its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from hubbub.asgi.events import Scope
from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.errors import ClientError, Disconnect, ErrorCode
from hubbub.connection import Connection
from hubbub.core.errors import HubbubError
from hubbub.core.messages import Payload
from hubbub.core.users import User
from hubbub.gateway.later import Maybe


class CommandFailed(HubbubError):
    """A command is answered with this error, or, for a `Disconnect`, with the end of the connection.

    Args:
        reason: codes 400 to 1999 of a `ClientError` and 4000 to 4999 of a `Disconnect` are yours.
    """

    def __init__(self, reason: ClientError | Disconnect | ErrorCode) -> None:
        self.reason = reason.error if isinstance(reason, ErrorCode) else reason
        super().__init__(f"{self.reason.code}")


class Credentials(msgspec.Struct, frozen=True):
    """What a client shows when it connects."""

    token: str
    """Empty for none."""

    data: Payload | None = None
    name: str = ""
    version: str = ""
    headers: Mapping[str, str] = {}
    """Headers that the client could not set itself in a browser. Nobody has checked them."""


@dataclass(frozen=True, slots=True)
class TokenMark:
    """What a token is known by when it is to be revoked."""

    id: str = ""
    """Its `jti`; empty for none."""

    issued: float | None = None
    """Its `iat`, in seconds since the Unix epoch; None where it does not say."""


NO_TOKEN: Final = TokenMark()
"""Of whoever showed no token."""


def mark_of(user: User) -> TokenMark:
    """That of the token with which a user came; `NO_TOKEN` for one who came without, by a session."""
    if user.expires_at is None and not user.claims:
        return NO_TOKEN
    id, issued = user.claims.get("jti"), user.claims.get("iat")
    return TokenMark(
        id if isinstance(id, str) else "", float(issued) if isinstance(issued, int | float) else None
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """A subscription that is allowed."""

    info: Payload | None = None
    """What others may know about the client in this room; JSON."""

    data: Payload | None = None
    """For the application on the other side."""

    ttl: float | None = None
    """Seconds; None for ever."""

    client_refresh: bool = False
    """The client can bring a new token for it."""

    server_refresh: bool = False
    """At its end `Handlers.refresh_subscription` is asked without a token whether it goes on."""

    by_token: bool = False
    """It showed a token for this room, or its connection's token named the room."""

    options: Mapping[str, bool] = field(default_factory=dict)
    """In place of the room's options of these names: join_leave, force_push_join_leave, force_recovery,
    force_positioning. Others have no effect."""

    token: TokenMark = NO_TOKEN
    """With which it was allowed."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A publication that is allowed, and what there is to say about it besides the data."""

    data: Payload
    tags: Mapping[str, str] | None = None
    idempotency_key: str | None = None
    """Publish only if no other publish to the room had the same key in the last five minutes."""

    kept: bool = True
    """Whether it goes into the room's history, if there is one."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is."""

    user: User | None = None
    """None for somebody anonymous."""

    info: Payload | None = None
    """What others may know about it; JSON."""

    ttl: float | None = None
    """Seconds until the credentials end; None for never."""

    client_refresh: bool = False
    """The client can bring new ones."""

    server_refresh: bool = False
    """At their end `Handlers.refresh` is asked without a token whether the connection goes on."""

    data: Payload | None = None
    """For the application on the other side."""

    rooms: Mapping[str, Grant] = field(default_factory=dict)
    """What it is subscribed to without asking."""

    token: TokenMark = NO_TOKEN
    """That it showed."""


class Visitor(Protocol):
    """A client, as handlers see it."""

    @property
    def connection(self) -> Connection:
        """With its id, user and info; the same object that handlers of plain clients have."""
        ...

    @property
    def scope(self) -> Scope:
        """The ASGI scope of its handshake, with path and headers."""
        ...

    @property
    def codec(self) -> Codec:
        """Its encoding."""
        ...

    @property
    def token(self) -> TokenMark:
        """Of its newest connection token."""
        ...

    def grant(self, room: str) -> Grant | None:
        """Its subscription to a room; None if it is not in the room."""
        ...


class Handlers(Protocol):
    """An application, to the gateway. `gateway.standard.StandardHandlers` goes by tokens and options."""

    def authenticate(self, visitor: Visitor, credentials: Credentials) -> Maybe[Identity]:
        """Who it is. Raises `Unauthorized` (3500), or `TokenExpired` (109)."""
        ...

    def refresh(self, visitor: Visitor, token: str) -> Maybe[Identity]:
        """What a new token says. It has to be of the same user; raises like `authenticate`.

        Without a token: whether a client goes on whose `Identity` has `server_refresh`. Whatever this raises
        ends it.
        """
        ...

    def may_subscribe(self, visitor: Visitor, room: str, token: str, data: Payload | None) -> Maybe[Grant]:
        """Whether it may come into a room, also when it comes back after a reconnect."""
        ...

    def refresh_subscription(self, visitor: Visitor, room: str, token: str) -> Maybe[Grant]:
        """What a new token says about a subscription; without one as in `refresh`."""
        ...

    def may_publish(self, visitor: Visitor, room: str, data: Payload) -> Maybe[Payload | Draft]:
        """What is published, in most cases the data."""
        ...

    def may_read_history(self, visitor: Visitor, room: str) -> Maybe[None]:
        """Whether it may read a room's history."""
        ...

    def may_see_presence(self, visitor: Visitor, room: str) -> Maybe[None]:
        """Whether it may know who is in a room."""
        ...

    def left(self, visitor: Visitor, room: str) -> Maybe[None]:
        """Be told that it has left a room, also because it has gone. What this raises is logged."""
        ...

    def rpc(self, visitor: Visitor, method: str, data: Payload | None) -> Maybe[Payload | None]:
        """Call a method; what it returns is the answer."""
        ...

    def message(self, visitor: Visitor, data: Payload) -> Maybe[None]:
        """Take a message that gets no answer. What it raises ends the connection."""
        ...
