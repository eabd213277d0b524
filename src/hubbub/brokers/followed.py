"""Rooms followed over a link that may lose: gaps are found by position and repaired from the store."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from hubbub.brokers.base import HistoryPage, Receiver
from hubbub.core.errors import BrokerError, HistoryGone
from hubbub.core.history import History
from hubbub.core.messages import Publication
from hubbub.core.positions import Position

MAX_HELD = 1_024
"""Publications of a room kept while a gap before them is repaired; past that they are read from the store."""

MAX_REPAIRS = 32
"""Rooms repaired at the same time: a node may follow very many."""

RETRY = 0.25
"""Seconds until a repair is tried again when the store does not answer, or does not know the newest yet."""

_logger = logging.getLogger("hubbub")

Read: TypeAlias = Callable[[str, History, Position | None], Awaitable[HistoryPage]]
"""Reads what a room's store has after a position; for None no publications, the newest position alone."""


@dataclass(slots=True)
class _Room:
    history: History
    last: Position | None = None  # of what was delivered; None until it is known where following begins
    newest: Position | None = None  # of what is known to exist, once that is more than was delivered
    held: dict[Position, Publication] = field(default_factory=dict)
    repair: asyncio.Task[None] | None = None

    def hold(self, publication: Publication, position: Position) -> None:
        if len(self.held) < MAX_HELD:
            self.held[position] = publication

    @property
    def behind(self) -> bool:
        """Whether something of the epoch that is followed is known to exist and was not delivered."""
        return (
            self.newest is not None
            and self.last is not None
            and self.newest.epoch == self.last.epoch
            and self.newest.offset > self.last.offset
        )


class FollowedRooms:
    """Puts what a link brings in order, and repairs what it lost before anything newer is delivered.

    Only for rooms with history. The order of calls for a room: `follow`, then the link is told to bring the
    room's publications, then its newest position is read, then `begin`.

    Args:
        receiver: gets the publications of each room without gap, double or swap.
        read: reads the store.
    """

    def __init__(self, receiver: Receiver, read: Read) -> None:
        self._receiver = receiver
        self._read = read
        self._rooms: dict[str, _Room] = {}
        self._turns = asyncio.Semaphore(MAX_REPAIRS)
        self.repaired = 0
        """Publications that the link had lost and the store still had."""

    def __contains__(self, room: str) -> bool:
        return room in self._rooms

    @property
    def names(self) -> list[str]:
        """The rooms that are followed."""
        return list(self._rooms)

    def position(self, name: str) -> Position | None:
        """What was delivered last; None for a room that is not followed, or not yet."""
        room = self._rooms.get(name)
        return None if room is None else room.last

    def follow(self, name: str, history: History) -> None:
        """Keep what the link brings, until `begin` says where the room stands. Twice is as good as once."""
        if name not in self._rooms:
            self._rooms[name] = _Room(history)

    def begin(self, name: str, position: Position) -> Position:
        """Deliver what follows that position; the answer is where the room stands if it had begun already."""
        room = self._rooms[name]
        if room.last is None:
            room.last = position
            self._deliver_held(name, room)
        return room.last

    def unfollow(self, name: str) -> None:
        """Forget the room; nothing of it is delivered any more."""
        room = self._rooms.pop(name, None)
        if room is not None and room.repair is not None:
            room.repair.cancel()

    def close(self) -> None:
        """Forget all rooms."""
        for name in self.names:
            self.unfollow(name)

    def arrived(self, publication: Publication) -> None:
        """The link brought a publication. One of a room that is not followed is ignored."""
        room, position = self._rooms.get(publication.room), publication.position
        if room is None or position is None:
            return
        last = room.last
        if last is not None and room.repair is None and position.epoch == last.epoch:
            if position.offset == last.offset + 1:
                room.last = position
                self._receiver.publication(publication)
                return
            if position.offset <= last.offset:
                return
        room.hold(publication, position)
        if last is not None:
            self.seen(publication.room, position)

    def seen(self, name: str, position: Position) -> None:
        """The store was seen to stand at that position: if that is not where the room stands, repair it."""
        room = self._rooms.get(name)
        if room is None or room.last is None:
            return
        if position.epoch == room.last.epoch and position.offset <= room.last.offset:
            return
        if room.newest is None or room.newest.epoch != position.epoch or room.newest < position:
            room.newest = position
        if room.repair is None:
            room.repair = asyncio.get_running_loop().create_task(self._repair(name, room))
            room.repair.add_done_callback(partial(_report, name))

    async def _repair(self, name: str, room: _Room) -> None:
        try:
            await self._catch_up(name, room)
        finally:
            room.repair = None

    async def _catch_up(self, name: str, room: _Room) -> None:
        while True:
            last = room.last
            try:
                async with self._turns:
                    page, whole = await self._page(name, room)
            except BrokerError:
                await asyncio.sleep(RETRY)
                continue
            if whole:
                self._deliver_page(room, page)
            else:
                _logger.warning(
                    "room %s: publications were lost for good, going on at %s", name, page.position
                )
                room.last = page.position
                self._receiver.interrupted(name, page.position)
            self._deliver_held(name, room)
            if not room.behind:
                return
            if room.last == last:
                await asyncio.sleep(RETRY)

    async def _page(self, name: str, room: _Room) -> tuple[HistoryPage, bool]:
        try:
            return await self._read(name, room.history, room.last), True
        except HistoryGone:
            return await self._read(name, room.history, None), False

    def _deliver_page(self, room: _Room, page: HistoryPage) -> None:
        for publication in page.publications:
            assert publication.position is not None
            if publication.position not in room.held:
                self.repaired += 1
            room.last = publication.position
            self._receiver.publication(publication)
        room.last = page.position

    def _deliver_held(self, name: str, room: _Room) -> None:
        """Deliver what was held and is next now, and forget the rest: what is still missing is read."""
        held, room.held = room.held, {}
        last = room.last
        assert last is not None
        while (publication := held.pop(Position(last.epoch, last.offset + 1), None)) is not None:
            last = room.last = Position(last.epoch, last.offset + 1)
            self._receiver.publication(publication)
        later = [position for position in held if position.epoch == last.epoch and position > last]
        if later:
            room.held = {position: held[position] for position in later}
            if room.repair is None:
                self.seen(name, max(later))


def _report(name: str, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _logger.error("room %s: the repair failed", name, exc_info=task.exception())
