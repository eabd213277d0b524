"""The table of connections: each node finds its own and gives the first of them, the pages are merged here.

A page begins after a mark, the last row of the page before, and not at a number: so no node has to give more
than a page, however far somebody has leafed.
"""

from collections.abc import Callable, Iterator
from heapq import nsmallest
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

    def _page_here(self, question: bytes) -> Iterator[bytes]:
        query = _query.decode(question)
        text = query.search.strip().lower()
        value = _VALUES[query.sort]
        found = self._parts.connections.all
        if text:
            found = [one for one in found if self._rows.is_about(one, text)]
        marked = (((value(one), one.id), one) for one in found)
        if query.after is not None:
            after = query.after
            marked = (one for one in marked if one[0] > after)
        yield msgspec.msgpack.encode(len(found))
        for mark, one in nsmallest(query.limit + 1, marked, key=lambda one: one[0]):
            yield msgspec.msgpack.encode((mark, self._rows.row(one)))

    def _one_here(self, question: bytes) -> list[bytes]:
        connection = self._parts.connections.get(question.decode())
        if connection is None:
            return []
        return [msgspec.msgpack.encode(self._rows.row(connection, None))]


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
