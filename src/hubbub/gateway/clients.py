"""The clients of the protocol on this node: found by their user, their connection or their session."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.errors import Disconnect, UnsubscribeCode
from hubbub.connection import Connection
from hubbub.core.messages import Payload
from hubbub.core.positions import Position
from hubbub.gateway.handlers import Grant, TokenMark
from hubbub.hub.connections import Connections


class Subject(Protocol):
    """A client that others act on."""

    @property
    def connection(self) -> Connection:
        """Whose id is the client's."""
        ...

    @property
    def codec(self) -> Codec:
        """Its encoding."""
        ...

    @property
    def token(self) -> TokenMark:
        """Of its newest connection token."""
        ...

    @property
    def app(self) -> tuple[str, str]:
        """What it calls itself: a name and a version."""
        ...

    @property
    def grants(self) -> Mapping[str, Grant]:
        """Its subscriptions, those that are about to begin among them."""
        ...

    def receive(self, frame: Payload) -> None:
        """Take a frame that came by another request."""
        ...

    def subscribe(self, room: str, grant: Grant | None = None, *, since: Position | None = None) -> None:
        """Have it in a room."""
        ...

    def unsubscribe(self, room: str, code: UnsubscribeCode = UnsubscribeCode.SERVER) -> None:
        """Take it out of a room."""
        ...

    def refresh(self, ttl: float | None) -> None:
        """Its credentials are good for so many seconds more."""
        ...

    def disconnect(self, reason: Disconnect) -> None:
        """End the connection."""
        ...


class Registered(msgspec.Struct, frozen=True, eq=False):
    """A client, and how it came."""

    client: Subject
    transport: str
    """``websocket``, ``sse`` or ``http_stream``."""

    session: str = ""
    """The secret with which other requests speak for it; empty for none."""


class Clients:
    """A registry of all that are here, whether it is known yet who they are or not.

    Args:
        connections: all of the hub's, plain ones too, once it is known who they are.
    """

    __slots__ = ("_by_id", "_by_session", "_connections")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._by_id: dict[str, Registered] = {}
        self._by_session: dict[str, Registered] = {}

    def add(self, client: Subject, transport: str, session: str = "") -> None:
        """A client has come."""
        one = self._by_id[client.connection.id] = Registered(client, transport, session)
        if session:
            self._by_session[session] = one

    def remove(self, client: Subject) -> None:
        """It has gone."""
        one = self._by_id.pop(client.connection.id, None)
        if one is not None and one.session:
            self._by_session.pop(one.session, None)

    def get(self, id: str) -> Registered | None:
        """The client with that connection id."""
        return self._by_id.get(id)

    def of_session(self, session: str) -> Subject | None:
        """The client that other requests of this session speak for."""
        one = self._by_session.get(session)
        return None if one is None else one.client

    @property
    def all(self) -> list[Subject]:
        """All of them."""
        return [one.client for one in self._by_id.values()]

    def of(self, user: str, id: str = "", session: str = "") -> list[Subject]:
        """Those of a user, or only the one with this id or session.

        An empty user stands for somebody anonymous, who has to be named by one of these.
        """
        if session:
            found = [one for one in (self._by_session.get(session),) if one is not None]
        elif id:
            found = [one for one in (self._by_id.get(id),) if one is not None]
        else:
            ids = [connection.id for connection in self._connections.of_user(user)]
            found = [self._by_id[one] for one in ids if one in self._by_id]
        return [
            one.client for one in found if _is_of(one.client, user) and id in ("", one.client.connection.id)
        ]

    def end(self, member: Connection, end: Callable[[], None]) -> None:
        """Call `end`, which ends the connection: of many a few in each turn of the event loop."""
        self._connections.evictions.now_or_soon(member, end)

    @property
    def plain(self) -> list[Connection]:
        """The connections that do not speak the protocol."""
        return [one for one in self._connections.all if one.id not in self._by_id]

    def plain_of(self, user: str, id: str = "") -> list[Connection]:
        """The connections of a user that do not speak the protocol, or only the one with this id."""
        found = self._connections.of_user(user)
        return [one for one in found if one.id not in self._by_id and id in ("", one.id)]


def _is_of(client: Subject, user: str) -> bool:
    known = client.connection.user
    return (known.id if known else "") == user
