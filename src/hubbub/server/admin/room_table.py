"""The table of rooms: all nodes', searched, sorted and cut to a page here."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from heapq import nsmallest
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hubbub.hub import Hub
from hubbub.hub.parts import Parts
from hubbub.hub.survey import Survey

Sort: TypeAlias = Literal["name", "members", "rate"]

MAX_PAGE: Final = 200
"""Rows of a page."""

CHUNK: Final = 512
"""Rooms in one item of a node's answer."""

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
        last = query.offset + query.limit
        shown = nsmallest(last, rooms.values(), key=_ORDERS[query.sort])[query.offset :]
        return {
            "rows": [msgspec.structs.asdict(row) for row in shown],
            "total": len(rooms),
            "nodes": len(answers),
        }

    def _here(self, question: bytes) -> Iterator[bytes | None]:
        wanted = question.decode().lower()
        hub, following = self._hub, self._parts.following
        figures = hub.all_room_figures()
        rates = self._rates.of({one.name: one.publications for one in figures}, time.monotonic())
        chunk: list[RoomRow] = []
        for number, one in enumerate(figures):
            if not number % CHUNK:
                yield None
            if wanted and wanted not in one.name.lower():
                continue
            options, position = hub.options(one.name), following.position(one.name)
            kept = options.history if options is not None else None
            remembered = (
                min(kept.size, position.offset) if kept is not None and position is not None else None
            )
            presence = options is not None and options.presence
            chunk.append(RoomRow(one.name, one.members, rates.get(one.name), remembered, presence))
            if len(chunk) == CHUNK:
                yield msgspec.msgpack.encode(chunk)
                chunk = []
        yield msgspec.msgpack.encode(chunk)


class Rates:
    """Makes rates of counts by what they were before."""

    __slots__ = ("_before", "_last")

    def __init__(self) -> None:
        self._before: tuple[float, Mapping[str, int]] = (0.0, {})
        self._last: tuple[float, Mapping[str, int]] = (0.0, {})

    def of(self, counts: Mapping[str, int], now: float) -> Mapping[str, float]:
        """The rates by name, for those that were counted before.

        Args:
            counts: that only grow, by name.
            now: in seconds.
        """
        if now - self._last[0] >= LEAST_SPAN:
            self._before, self._last = self._last, (now, counts)
        then, before = self._before
        span = now - then
        if span > LONGEST_SPAN:
            return {}
        # One that begins anew counts from zero.
        return {name: max(0, count - before[name]) / span for name, count in counts.items() if name in before}


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
_ORDERS: Final = {
    "name": lambda row: row.name,
    "members": lambda row: (-row.members, row.name),
    "rate": lambda row: (-(row.rate or 0.0), row.name),
}
