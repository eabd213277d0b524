"""What the nodes are asked: which rooms have members, which connections a user has, how much there is."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from fnmatch import translate
from typing import Final

import msgspec

from hubbub.connection import Connection
from hubbub.core.errors import InvalidMessage
from hubbub.gateway.clients import Clients, Registered
from hubbub.gateway.handlers import NO_TOKEN, TokenMark
from hubbub.hub import Hub
from hubbub.hub.survey import Survey

MAX_PATTERN: Final = 255
"""Characters of a pattern for names of rooms."""

_ROOMS: Final = "rooms"
_CONNECTIONS: Final = "connections"
_FIGURES: Final = "figures"


class FoundConnection(msgspec.Struct, frozen=True, array_like=True):
    """One connection of a user."""

    id: str
    user: str
    transport: str
    """``websocket``, ``sse`` or ``http_stream``."""

    protocol: str
    """``json``, ``protobuf``, or ``plain``."""

    app: tuple[str, str]
    """What the client calls itself: a name and a version."""

    rooms: list[str]
    token: tuple[str, float | None] | None
    """Id of its token and when that was issued, in seconds since the Unix epoch."""

    room_tokens: Mapping[str, tuple[str, float | None]] = {}
    """The same of the tokens with which it subscribed."""


class NodeFigures(msgspec.Struct, frozen=True, array_like=True):
    """How much there is on one node."""

    connections: int
    users: int
    rooms: int
    memberships: int
    """Members of all rooms together."""


class Surveys:
    """Asks all nodes, and answers for this one.

    Args:
        hub: whose rooms and connections these are.
        clients: those that speak the protocol.
        survey: carries questions and answers.
    """

    __slots__ = ("_clients", "_hub", "_survey")

    def __init__(self, hub: Hub, clients: Clients, survey: Survey) -> None:
        self._hub = hub
        self._clients = clients
        self._survey = survey
        survey.answer(_ROOMS, self._rooms_here)
        survey.answer(_CONNECTIONS, self._connections_here)
        survey.answer(_FIGURES, self._figures_here)

    async def rooms(self, pattern: str = "") -> dict[str, int]:
        """All rooms with members, with how many, on all nodes that answer in time.

        Args:
            pattern: only names like it: ``*``, ``?``, ``[ab]``, ``[!ab]`` and ``{one,two}``; empty for all.

        Raises:
            InvalidMessage: for a pattern that is malformed or too long.
            LimitReached, BrokerError: as `Survey.ask`.
        """
        compile_pattern(pattern)
        found: Counter[str] = Counter()
        for items in (await self._survey.ask(_ROOMS, pattern.encode())).values():
            for item in items:
                name, members = _room.decode(item)
                found[name] += members
        return dict(sorted(found.items()))

    async def connections(self, user: str) -> list[FoundConnection]:
        """The connections of a user on all nodes that answer in time. Raises like `Survey.ask`."""
        answers = await self._survey.ask(_CONNECTIONS, user.encode())
        return [_connection.decode(item) for items in answers.values() for item in items]

    async def figures(self) -> dict[str, NodeFigures]:
        """Of each node that answers in time. Raises like `Survey.ask`."""
        answers = await self._survey.ask(_FIGURES)
        return {node: _figures.decode(items[0]) for node, items in answers.items() if items}

    def _rooms_here(self, question: bytes) -> Iterator[bytes]:
        matches = compile_pattern(question.decode())
        for name in self._hub.rooms:
            if matches is None or matches.fullmatch(name):
                yield msgspec.msgpack.encode((name, self._hub.room_count(name)))

    def _connections_here(self, question: bytes) -> Iterator[bytes]:
        user = question.decode()
        for client in self._clients.of(user):
            one = self._clients.get(client.connection.id)
            if one is not None:
                yield msgspec.msgpack.encode(_describe(one, user))
        for connection in self._clients.plain_of(user):
            yield msgspec.msgpack.encode(_describe_plain(connection, user))

    def _figures_here(self, question: bytes) -> list[bytes]:
        hub = self._hub
        users = {connection.user.id for connection in hub.connections if connection.user is not None}
        members = [hub.room_count(room) for room in hub.rooms]
        figures = NodeFigures(hub.connection_count, len(users), len(members), sum(members))
        return [msgspec.msgpack.encode(figures)]


_room: Final = msgspec.msgpack.Decoder(tuple[str, int])
_connection: Final = msgspec.msgpack.Decoder(FoundConnection)
_figures: Final = msgspec.msgpack.Decoder(NodeFigures)


def compile_pattern(pattern: str) -> re.Pattern[str] | None:
    """A pattern of names as a regular expression; None for the empty one. Raises `InvalidMessage`."""
    if not pattern:
        return None
    choices = _choices(pattern) if len(pattern) <= MAX_PATTERN else []
    if not choices:
        raise InvalidMessage("A pattern is too long, or has too many choices or a brace too many")
    return re.compile("|".join(map(translate, choices)))


def _choices(pattern: str, most: int = 64) -> list[str]:
    """The patterns that one with ``{one,two}`` stands for; none if these are malformed or too many."""
    head, brace, rest = pattern.partition("{")
    if not brace:
        return [] if "}" in pattern else [pattern]
    inner, end, tail = rest.partition("}")
    if not end or "{" in inner or "}" in head:
        return []
    tails = _choices(tail, most)
    found = [head + choice + after for choice in inner.split(",") for after in tails]
    return found if len(found) <= most else []


def _describe(one: Registered, user: str) -> FoundConnection:
    client = one.client
    marks = {room: _mark(grant.token) for room, grant in client.grants.items()}
    return FoundConnection(
        client.connection.id,
        user,
        one.transport,
        client.codec.name,
        client.app,
        client.connection.rooms,
        _mark(client.token),
        {room: mark for room, mark in marks.items() if mark is not None},
    )


def _describe_plain(connection: Connection, user: str) -> FoundConnection:
    return FoundConnection(connection.id, user, "websocket", "plain", ("", ""), connection.rooms, None)


def _mark(token: TokenMark) -> tuple[str, float | None] | None:
    return None if token is NO_TOKEN else (token.id, token.issued)
