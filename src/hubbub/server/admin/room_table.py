"""The table of rooms: all nodes', searched, sorted and cut to a page here."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from heapq import merge
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hubbub.hub import Hub
from hubbub.hub.parts import Parts
from hubbub.hub.survey import Survey

Sort: TypeAlias = Literal["name", "members", "rate"]

MAX_PAGE: Final = 200
"""Rows of a page."""

LOOKED_AT: Final = 128
"""Rooms that are looked at, merged or sorted in one turn of the event loop: some microseconds each. Also the
rooms in one item of a node's answer."""

LEAST_SPAN: Final = 1.0
"""Seconds over which a rate is measured at least."""

LONGEST_SPAN: Final = 60.0
"""Seconds after which an earlier look says nothing about now."""

_KIND: Final = "admin rooms"


class RoomQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, as in the page's address."""

    search: Annotated[str, Meta(max_length=255)] = ""
    """Part of the name, in any case."""

    sort: Sort = "name"
    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50


class RoomRow(msgspec.Struct, frozen=True, array_like=True):
    """A room on one node, or on all of them."""

    name: str
    members: int
    rate: float | None
    """Publications a second; None until it was looked at twice."""

    history: int | None
    """Publications that it remembers at most: fewer if some are too old by now. None without history."""

    presence: bool
    nodes: int = 1
    """On how many nodes it has members."""


class RoomTable:
    """Asks all nodes for their rooms, and answers for this one.

    Args:
        hub: whose rooms they are.
        parts: of the running hub.
        survey: carries questions and answers.
    """

    def __init__(self, hub: Hub, parts: Parts, survey: Survey) -> None:
        self._hub = hub
        self._parts = parts
        self._survey = survey
        self._rates = Rates()
        survey.answer(_KIND, self._here)

    async def page(self, query: RoomQuery) -> dict[str, object]:
        """One page: its rows, how many there are altogether, and on how many nodes was looked.

        Raises:
            LimitReached, BrokerError: as `Survey.ask`.
        """
        answers = await self._survey.ask(_KIND, query.search.encode())
        rooms: dict[str, RoomRow] = {}
        for items in answers.values():
            for item in items:
                for row in _rows.decode(item):
                    known = rooms.get(row.name)
                    rooms[row.name] = row if known is None else _together(known, row)
                await asyncio.sleep(0)  # the others' turn
        shown = await _cut([*rooms.values()], query)
        return {
            "rows": [msgspec.structs.asdict(row) for row in shown],
            "total": len(rooms),
            "nodes": len(answers),
        }

    def _here(self, question: bytes) -> Iterator[bytes | None]:
        wanted = question.decode().lower()
        look = self._rates.look(time.monotonic())
        names = self._hub.rooms
        for start in range(0, len(names), LOOKED_AT):
            rows = (self._row(name, look, wanted) for name in names[start : start + LOOKED_AT])
            yield msgspec.msgpack.encode([row for row in rows if row is not None])
            yield None

    def _row(self, name: str, look: "Look", wanted: str) -> RoomRow | None:
        """The room as it is now; None if it has no members any more, or is not wanted."""
        figures = self._hub.room_figures(name)
        if figures is None:
            return None
        rate = look.rate(name, figures.publications)
        if wanted and wanted not in name.lower():
            return None
        options, position = self._hub.options(name), self._parts.following.position(name)
        kept = options.history if options is not None else None
        remembered = min(kept.size, position.offset) if kept is not None and position is not None else None
        presence = options is not None and options.presence
        return RoomRow(name, figures.members, rate, remembered, presence)


class Rates:
    """Makes rates of counts by what they were before."""

    __slots__ = ("_before", "_last")

    def __init__(self) -> None:
        self._before: tuple[float, Mapping[str, int]] = (0.0, {})
        self._last: tuple[float, Mapping[str, int]] = (0.0, {})

    def look(self, now: float) -> "Look":
        """Begin to look at all counts; now in seconds."""
        counts: dict[str, int] = {}
        if now - self._last[0] >= LEAST_SPAN:
            self._before, self._last = self._last, (now, counts)
        then, before = self._before
        return Look(counts, before if now - then <= LONGEST_SPAN else {}, now - then)


class Look:
    """One look at many counts, which may take some turns of the event loop.

    Args:
        counts: where they are noted for later looks.
        before: what they were.
        span: seconds since then.
    """

    __slots__ = ("_before", "_counts", "_span")

    def __init__(self, counts: dict[str, int], before: Mapping[str, int], span: float) -> None:
        self._counts = counts
        self._before = before
        self._span = span

    def rate(self, name: str, count: int) -> float | None:
        """How much more a second it has become; None for one that was not counted before."""
        self._counts[name] = count
        before = self._before.get(name)
        # One that begins anew counts from zero.
        return None if before is None else max(0, count - before) / self._span


async def _cut(rows: list[RoomRow], query: RoomQuery) -> list[RoomRow]:
    """The page of them that is asked for. However many there are, the others have their turns."""
    order = _ORDERS[query.sort]
    sorted_parts: list[list[RoomRow]] = []
    for start in range(0, len(rows), LOOKED_AT):
        sorted_parts.append(sorted(rows[start : start + LOOKED_AT], key=order))
        await asyncio.sleep(0)
    page: list[RoomRow] = []
    for number, row in enumerate(merge(*sorted_parts, key=order)):
        if number >= query.offset + query.limit:
            break
        if number >= query.offset:
            page.append(row)
        if not number % LOOKED_AT:
            await asyncio.sleep(0)
    return page


def _together(one: RoomRow, other: RoomRow) -> RoomRow:
    """The same room on several nodes: each of them delivers all of its publications."""
    rates = [rate for rate in (one.rate, other.rate) if rate is not None]
    histories = [history for history in (one.history, other.history) if history is not None]
    return RoomRow(
        one.name,
        one.members + other.members,
        max(rates, default=None),
        max(histories, default=None),
        one.presence or other.presence,
        one.nodes + other.nodes,
    )


_rows: Final = msgspec.msgpack.Decoder(list[RoomRow])
_ORDERS: Final[dict[Sort, Callable[[RoomRow], Any]]] = {
    "name": lambda row: row.name,
    "members": lambda row: (-row.members, row.name),
    "rate": lambda row: (-(row.rate or 0.0), row.name),
}
