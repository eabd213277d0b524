"""A followed room, a store that loses what the test wants, and a receiver that checks what it is told."""

import asyncio
from collections.abc import Callable, Collection

from polling import eventually

from hubbub import BrokerError, History, HistoryGone, Position, Publication
from hubbub.brokers import HistoryPage
from hubbub.brokers.followed import FollowedRooms

KEEP = History()


class Store:
    """What a broker's server has of the room "r"."""

    def __init__(self) -> None:
        self.epochs = 1
        self.top = 0
        self.log: dict[int, Publication] = {}
        self.accepted: set[tuple[Position, str]] = set()
        self.erased: set[Position] = set()
        self.away = False
        self.reads = 0

    @property
    def position(self) -> Position:
        return Position(str(self.epochs), self.top)

    def publish(self) -> Publication:
        self.top += 1
        payload = f"{len(self.accepted)}"
        publication = Publication("r", payload, 0.0, self.position)
        self.log[self.top] = publication
        self.accepted.add((self.position, payload))
        return publication

    async def read(self, room: str, history: History, since: Position | None) -> HistoryPage:
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            raise BrokerError("away")
        page = self._page(since)
        await asyncio.sleep(0)
        return page

    def _page(self, since: Position | None) -> HistoryPage:
        if since is None:
            return HistoryPage([], self.position)
        epoch = self.position.epoch
        offsets = [
            offset
            for offset in range(since.offset + 1, self.top + 1)
            if Position(epoch, offset) not in self.erased
        ]
        if since.epoch != self.position.epoch or since.offset > self.top or not set(offsets) <= set(self.log):
            raise HistoryGone("gone")
        return HistoryPage([self.log[offset] for offset in offsets], self.position)

    def erase(self, back: int) -> None:
        """Take the publication out that was published so many before the newest, if it is kept."""
        if self.log.pop(self.top - back, None) is not None:
            self.erased.add(Position(str(self.epochs), self.top - back))

    def trim(self) -> None:
        """Forget all but the newest publication."""
        self.log = {offset: one for offset, one in self.log.items() if offset == self.top}

    def begin_anew(self) -> None:
        """Come back empty."""
        self.epochs, self.top, self.log = self.epochs + 1, 0, {}

    def go_back(self, amount: int) -> None:
        """Come back with older data of the same epoch."""
        self.top = max(0, self.top - amount)
        self.log = {offset: one for offset, one in self.log.items() if offset <= self.top}
        self.erased.difference_update([one for one in self.erased if one > self.position])


class Log:
    """What a receiver was told, checked as it comes."""

    def __init__(self, erased: Collection[Position] = ()) -> None:
        self._erased = erased
        self.last: Position | None = None
        self.delivered: list[Publication] = []
        self.interruptions: list[Position] = []
        self.on_publication: Callable[[], None] = lambda: None

    def publication(self, publication: Publication) -> None:
        position = publication.position
        assert self.last is not None
        assert position is not None
        assert position.epoch == self.last.epoch, "gap, double or swap"
        assert position > self.last, "gap, double or swap"
        self._go_on(position, position.offset)
        self.delivered.append(publication)
        self.on_publication()

    def passed(self, room: str, position: Position) -> None:
        assert self.last is not None
        assert position > self.last
        self._go_on(position, position.offset + 1)

    def _go_on(self, position: Position, to: int) -> None:
        """Only what was erased may lie between."""
        assert self.last is not None
        between = {Position(position.epoch, offset) for offset in range(self.last.offset + 1, to)}
        assert between <= set(self._erased), "gap, double or swap"
        self.last = position

    def interrupted(self, room: str, position: Position) -> None:
        self.last = position
        self.interruptions.append(position)

    @property
    def payloads(self) -> list[str | bytes]:
        return [one.payload for one in self.delivered]


class Scene:
    """A followed room, its store and its receiver."""

    def __init__(self) -> None:
        self.store = Store()
        self.log = Log(self.store.erased)
        self.rooms = FollowedRooms(self.log, self.store.read)

    def begin(self) -> None:
        self.rooms.follow("r", KEEP)
        self.log.last = self.rooms.begin("r", self.store.position)

    async def look(self) -> None:
        """Compare positions, as a broker's sweep does."""
        delivered = self.rooms.position("r")
        position = self.store.position
        await asyncio.sleep(0)
        self.rooms.seen("r", position, delivered)

    async def level(self) -> None:
        """Wait until the room stands where the store stands."""
        await eventually(lambda: self.rooms.position("r") == self.store.position)
