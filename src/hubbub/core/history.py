"""The logs behind rooms that remember: bounded by count, age and bytes, with positions that never lie."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import msgspec

from hubbub.core.errors import ConfigurationError, HistoryGone
from hubbub.core.messages import Publication, payload_bytes
from hubbub.core.positions import Position


@dataclass(frozen=True, slots=True)
class History:
    """How much a room remembers.

    Raises:
        ConfigurationError: if size or ttl is not positive.
    """

    size: int = 100
    """Publications kept."""

    ttl: float = 300.0
    """Seconds that a publication is kept."""

    def __post_init__(self) -> None:
        if self.size <= 0 or self.ttl <= 0:
            raise ConfigurationError("History needs a positive size and ttl")


class HistoryLog:
    """One room's publications, oldest first, at consecutive offsets of one epoch."""

    __slots__ = ("_entries", "bytes", "epoch", "top")

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.top = 0  # offset of the newest publication there has been
        self.bytes = 0
        self._entries: deque[Publication] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def position(self) -> Position:
        """The position of the newest publication there has been; offset 0 when there was none."""
        return Position(self.epoch, self.top)

    def append(self, publication: Publication, history: History) -> Publication:
        """Give the publication the next offset, keep it, and forget what is now too old or too many."""
        self.top += 1
        positioned = msgspec.structs.replace(publication, position=self.position)
        self._entries.append(positioned)
        self.bytes += payload_bytes(positioned.payload)
        while len(self._entries) > history.size:
            self.drop_oldest()
        self.expire(publication.time - history.ttl)
        return positioned

    def expire(self, before: float) -> None:
        """Forget publications accepted before that time (seconds since the Unix epoch)."""
        while self._entries and self._entries[0].time < before:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        """Forget the oldest publication."""
        self.bytes -= payload_bytes(self._entries.popleft().payload)

    def since(self, position: Position, limit: int | None = None) -> list[Publication]:
        """The publications after that position, oldest first, at most `limit`.

        Raises:
            HistoryGone: if the position is of another epoch or from the future, or if not all that followed
                it is still here. A part is never returned.
        """
        first = self.top - len(self._entries) + 1
        if position.epoch != self.epoch or not first - 1 <= position.offset <= self.top:
            raise HistoryGone(f"The history no longer holds all that followed {position}")
        return list(islice(self._entries, position.offset - first + 1, None))[:limit]

    def newest(self, limit: int | None = None) -> list[Publication]:
        """The newest publications, newest first, at most `limit`."""
        return list(islice(reversed(self._entries), limit))


class HistoryStore:
    """The logs of all rooms of a process, together at most `max_bytes` of payload.

    Past that, the room that was written to least recently loses its oldest publications first.
    """

    __slots__ = ("_logs", "_new_epoch", "bytes", "max_bytes")

    def __init__(self, max_bytes: int, new_epoch: Callable[[], str]) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._new_epoch = new_epoch
        self._logs: OrderedDict[str, HistoryLog] = OrderedDict()  # least recently written first

    def __len__(self) -> int:
        return len(self._logs)

    def log(self, room: str) -> HistoryLog:
        """The room's log; a new one with a new epoch if there is none."""
        log = self._logs.get(room)
        if log is None:
            log = self._logs[room] = HistoryLog(self._new_epoch())
        return log

    def append(self, publication: Publication, history: History) -> Publication:
        """Append to the room's log and keep the store within its bound."""
        log = self.log(publication.room)
        before = log.bytes
        positioned = log.append(publication, history)
        self.bytes += log.bytes - before
        self._logs.move_to_end(publication.room)
        for other in self._logs.values():
            while self.bytes > self.max_bytes and len(other) > (other is log):
                before = other.bytes
                other.drop_oldest()
                self.bytes += other.bytes - before
            if self.bytes <= self.max_bytes:
                break
        return positioned

    def expire(self, room: str, before: float) -> HistoryLog:
        """Forget what is too old in one room, and return its log."""
        log = self.log(room)
        size = log.bytes
        log.expire(before)
        self.bytes += log.bytes - size
        return log
