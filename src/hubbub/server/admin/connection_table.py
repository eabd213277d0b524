"""The table of connections: each node finds its own and gives the first of them, the pages are merged here.

A page begins after a mark, the last row of the page before, and not at a number: so no node has to give more
than a page, however far somebody has leafed.
"""

from collections.abc import Callable, Iterable, Iterator
from heapq import nsmallest
from itertools import chain
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hubbub.connection import Connection
from hubbub.core.errors import InvalidMessage
from hubbub.gateway.http_requests import Refusal
from hubbub.hub.parts import Parts
from hubbub.hub.survey import Survey
from hubbub.server.admin.connection_rows import ConnectionRow, ConnectionRows

Sort: TypeAlias = Literal["newest", "oldest", "queue", "user"]
Mark: TypeAlias = tuple[float | str, str]
"""What a row is sorted by: a value, and the id where values are equal."""

MAX_PAGE: Final = 200
"""Rows of a page."""

LOOKED_AT: Final = 256
"""Connections that are looked at in one turn of the event loop: some microseconds each with a search."""

DESCRIBED: Final = 32
"""Rows that are made in one turn."""

_PAGE: Final = "admin connections"
_ONE: Final = "admin connection"


class ConnectionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    search: Annotated[str, Meta(max_length=255)] = ""
    """Part of a user, an address, a client's name, an id or a room, in any case."""

    sort: Sort = "newest"
    after: Mark | None = None
    """The mark of the last row before the page; None for the first page."""

    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50


class ConnectionTable:
    """Asks all nodes for their connections, and answers for this one.

    Args:
        parts: of the running hub.
        survey: carries questions and answers.
        rows: describes this node's.
    """

    def __init__(self, parts: Parts, survey: Survey, rows: ConnectionRows) -> None:
        self._parts = parts
        self._survey = survey
        self._rows = rows
        survey.answer(_PAGE, self._page_here)
        survey.answer(_ONE, self._one_here)

    async def page(self, query: ConnectionQuery) -> dict[str, object]:
        """One page: its rows, how many there are altogether, on how many nodes was looked, and the last mark.

        Raises:
            InvalidMessage: for a mark of another order.
            LimitReached, BrokerError: as `Survey.ask`.
        """
        if query.after is not None and isinstance(query.after[0], str) is not (query.sort == "user"):
            raise InvalidMessage("The mark is of another order")
        answers = await self._survey.ask(_PAGE, msgspec.msgpack.encode(query))
        found: list[tuple[Mark, ConnectionRow]] = []
        total = 0
        for items in answers.values():
            if items:
                total += _count.decode(items[0])
                found += map(_marked.decode, items[1:])
        found.sort(key=lambda one: one[0])
        shown = found[: query.limit]
        return {
            "rows": [msgspec.structs.asdict(row) for _, row in shown],
            "total": total,
            "nodes": len(answers),
            "next": shown[-1][0] if len(found) > query.limit else None,
        }

    async def one(self, id: str) -> dict[str, object]:
        """The connection with that id, with all its rooms.

        Raises:
            Refusal: 404 if no node has it.
            LimitReached, BrokerError: as `Survey.ask`.
        """
        for items in (await self._survey.ask(_ONE, id.encode())).values():
            if items:
                return msgspec.structs.asdict(_row.decode(items[0]))
        raise Refusal(404, "There is no such connection (any more)")

    def _page_here(self, question: bytes) -> Iterator[bytes | None]:
        query = _query.decode(question)
        text = query.search.strip().lower()
        total, first = 0, list[tuple[Mark, Connection]]()
        everybody = self._parts.connections.all
        for start in range(0, len(everybody), LOOKED_AT):
            some = [one for one in everybody[start : start + LOOKED_AT] if one.closed is None]
            if text:
                some = [one for one in some if self._rows.is_about(one, text)]
            total += len(some)
            first = _first_of(first, some, query)
            yield None
        yield msgspec.msgpack.encode(total)
        for number, (mark, one) in enumerate(first, 1):
            yield msgspec.msgpack.encode((mark, self._rows.row(one)))  # as it was, if it has gone meanwhile
            if not number % DESCRIBED:
                yield None

    def _one_here(self, question: bytes) -> list[bytes]:
        connection = self._parts.connections.get(question.decode())
        if connection is None:
            return []
        return [msgspec.msgpack.encode(self._rows.row(connection, None))]


def _first_of(
    first: list[tuple[Mark, Connection]], more: list[Connection], query: ConnectionQuery
) -> list[tuple[Mark, Connection]]:
    """The first of those and of more, with their marks; one beyond the page tells that there is another."""
    value, after = _VALUES[query.sort], query.after
    marked: Iterable[tuple[Mark, Connection]] = (((value(one), one.id), one) for one in more)
    if after is not None:
        marked = (one for one in marked if one[0] > after)
    return nsmallest(query.limit + 1, chain(first, marked), key=lambda one: one[0])


_query: Final = msgspec.msgpack.Decoder(ConnectionQuery)
_count: Final = msgspec.msgpack.Decoder(int)
_row: Final = msgspec.msgpack.Decoder(ConnectionRow)
_marked: Final = msgspec.msgpack.Decoder(tuple[Mark, ConnectionRow])
_VALUES: Final[dict[Sort, Callable[[Connection], float | str]]] = {
    "newest": lambda one: -one.opened_at,
    "oldest": lambda one: one.opened_at,
    "queue": lambda one: -float(one.transport.buffered),
    "user": lambda one: one.user.id if one.user is not None else "",
}
