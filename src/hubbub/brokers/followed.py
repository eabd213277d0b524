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

LONGEST_RETRY = 2.0
"""Each time the store does not answer the wait doubles, up to so many seconds."""

MAX_IN_VAIN = 20
"""Times that the store is asked for what the link brought and it does not know: then it is given up."""

QUIET = 1.0
"""Seconds after a warning of a loss in which further ones are logged for debugging: it may be all rooms."""

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
    asked: bool = False  # something was seen that the repair has not read the store for
    rewound: bool = False  # the store went back behind what was delivered
    left: bool = False  # nobody follows it any more

    def hold(self, publication: Publication, position: Position) -> None:
        if len(self.held) < MAX_HELD:
            self.held[position] = publication

    def held_tail(self, epoch: str) -> Position | None:
        """The place before the last unbroken run of what is held of an epoch; None if nothing is."""
        offsets = sorted((one.offset for one in self.held if one.epoch == epoch), reverse=True)
        run = [offset for place, offset in enumerate(offsets) if offset == offsets[0] - place]
        return Position(epoch, run[-1] - 1) if run else None

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
        self._quiet_until = 0.0  # by the event loop's clock
        self.repaired = 0
        """Publications that the link had lost and the store still had."""
        self.interrupted = 0
        """Times that a room lost publications for good."""

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
        room = self._rooms.get(name)
        if room is None:
            self._rooms[name] = _Room(history)
        else:
            room.history = history

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
        if room is not None:
            room.left = True
            if room.repair is not None:
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

    def seen(self, name: str, position: Position, delivered: Position | None = None) -> None:
        """The store was seen to stand at that position: if that is not where the room stands, repair it.

        Args:
            name: the room.
            position: its newest position according to the store.
            delivered: what `position` of this object said before the store was asked. A store that does not
                know of it any more has gone back (it was restored, or a copy that lagged took over) and will
                give the same offsets to other publications. Without this it is taken for an old answer.
        """
        room = self._rooms.get(name)
        if room is None or room.last is None:
            return
        if position.epoch == room.last.epoch and position.offset <= room.last.offset:
            if delivered is None or delivered.epoch != position.epoch or delivered <= position:
                return
            room.rewound = True
        if room.newest is None or room.newest.epoch != position.epoch or room.newest < position:
            room.newest = position
        room.asked = True
        if room.repair is None:
            room.repair = asyncio.get_running_loop().create_task(self._repair(name, room))
            room.repair.add_done_callback(partial(_report, name))

    async def _repair(self, name: str, room: _Room) -> None:
        try:
            await self._catch_up(name, room)
        finally:
            room.repair = None

    async def _catch_up(self, name: str, room: _Room) -> None:
        """Read what is missing until nothing is; each reading answers all that was seen before it."""
        retry, in_vain = RETRY, 0
        while room.asked or room.behind:
            last, room.asked = room.last, False
            try:
                async with self._turns:
                    page, whole = await self._page(name, room)
            except BrokerError:
                room.asked = True
                await asyncio.sleep(retry)
                retry = min(retry * 2, LONGEST_RETRY)
                continue
            retry = RETRY
            if whole:
                self._deliver_page(name, room, page)
            else:
                self._interrupt(name, room, page.position)
            self._deliver_held(name, room)
            in_vain = in_vain + 1 if room.behind and room.last == last else 0
            if in_vain > MAX_IN_VAIN:
                room.newest = None
            elif in_vain:
                await asyncio.sleep(RETRY)

    def _interrupt(self, name: str, room: _Room, position: Position) -> None:
        """Go on at that position, or before it where what follows is in hand."""
        if room.rewound:
            room.rewound, room.newest = False, None
            room.held.clear()  # from before the store went back
        room.last = room.held_tail(position.epoch) or position
        if room.newest is None or room.newest.epoch != position.epoch or room.newest < position:
            room.newest = position
        self.interrupted += 1
        now = asyncio.get_running_loop().time()
        level = logging.WARNING if now >= self._quiet_until else logging.DEBUG
        self._quiet_until = max(self._quiet_until, now + QUIET if level == logging.WARNING else 0.0)
        _logger.log(level, "room %s: publications were lost for good, going on at %s", name, room.last)
        self._receiver.interrupted(name, room.last)

    async def _page(self, name: str, room: _Room) -> tuple[HistoryPage, bool]:
        if not room.rewound:
            try:
                return await self._read(name, room.history, room.last), True
            except HistoryGone:
                pass
        return await self._read(name, room.history, None), False

    def _deliver_page(self, name: str, room: _Room, page: HistoryPage) -> None:
        for publication in page.publications:
            if room.left:
                return
            assert publication.position is not None
            if publication.position not in room.held:
                self.repaired += 1
            room.last = publication.position
            self._receiver.publication(publication)
        if not room.left and room.last != page.position:  # the newest were erased
            self._receiver.passed(name, page.position)
        room.last = page.position

    def _deliver_held(self, name: str, room: _Room) -> None:
        """Deliver what was held and is next now. What is still missing is read, and for that it is kept."""
        held, room.held = room.held, {}
        last = room.last
        assert last is not None
        while (
            not room.left and (next_one := held.pop(Position(last.epoch, last.offset + 1), None)) is not None
        ):
            last = room.last = Position(last.epoch, last.offset + 1)
            self._receiver.publication(next_one)
        reading_on = room.repair is None or room.asked
        for position, publication in held.items():
            if position > last if position.epoch == last.epoch else reading_on:
                room.held[position] = publication
        if room.repair is None:
            for position in list(room.held):
                self.seen(name, position)


def _report(name: str, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _logger.error("room %s: the repair failed", name, exc_info=task.exception())
