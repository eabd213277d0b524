"""The logs behind rooms that remember: bounded by count, age and bytes, with positions that never lie."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
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
        ConfigurationError: if one of them is not positive.
    """

    size: int = 100
    """Publications kept."""

    ttl: float = 300.0
    """Seconds that a publication is kept."""

    bytes: int = 16_777_216
    """Bytes of payload kept. The newest publication is kept even if it alone is larger."""

    def __post_init__(self) -> None:
        if self.size <= 0 or self.ttl <= 0 or self.bytes <= 0:
            raise ConfigurationError("History needs a positive size, ttl and bytes")
        # Brokers write them down: what only behaves like a number must not surprise them.
        object.__setattr__(self, "size", int(self.size))
        object.__setattr__(self, "ttl", float(self.ttl))
        object.__setattr__(self, "bytes", int(self.bytes))


class _Erased(msgspec.Struct, frozen=True, gc=False):
    """What an erased publication leaves: its place, so that what stands around it stays without a gap."""

    time: float
    """When the publication was accepted: it is forgotten when the publication would have been."""


class HistoryLog:
    """One room's publications, oldest first, at consecutive offsets of one epoch."""

    __slots__ = ("_entries", "bytes", "epoch", "top")

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.top = 0  # offset of the newest publication there has been
        self.bytes = 0
        self._entries: deque[Publication | _Erased] = deque()

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
        while len(self._entries) > history.size or (self.bytes > history.bytes and len(self._entries) > 1):
            self.drop_oldest()
        self.expire(publication.time - history.ttl)
        return positioned

    def expire(self, before: float) -> None:
        """Forget publications accepted before that time (seconds since the Unix epoch)."""
        while self._entries and self._entries[0].time < before:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        """Forget the oldest publication."""
        self.bytes -= _bytes(self._entries.popleft())

    def erase(self, offset: int) -> bool:
        """Take one publication out; its place stays. False if it is not here."""
        place = offset - (self.top - len(self._entries) + 1)
        if not 0 <= place < len(self._entries):
            return False
        entry = self._entries[place]
        if isinstance(entry, _Erased):
            return False
        self.bytes -= _bytes(entry)
        self._entries[place] = _Erased(entry.time)
        return True

    def since(self, position: Position, limit: int | None = None) -> list[Publication]:
        """The publications after that position, oldest first, at most `limit`.

        Raises:
            HistoryGone: if the position is of another epoch or from the future, or if not all that followed
                it is still here. A part is never returned.
        """
        first = self.top - len(self._entries) + 1
        if position.epoch != self.epoch or not first - 1 <= position.offset <= self.top:
            raise HistoryGone(f"The history no longer holds all that followed {position}")
        return _kept(islice(self._entries, position.offset - first + 1, None), limit)

    def oldest(self, limit: int | None = None) -> list[Publication]:
        """The oldest publications, oldest first, at most `limit`."""
        return _kept(self._entries, limit)

    def newest(self, limit: int | None = None) -> list[Publication]:
        """The newest publications, newest first, at most `limit`."""
        return _kept(reversed(self._entries), limit)


def _kept(entries: Iterable[Publication | _Erased], limit: int | None) -> list[Publication]:
    found: Iterator[Publication] = (one for one in entries if isinstance(one, Publication))
    return list(islice(found, limit))


def _bytes(entry: Publication | _Erased) -> int:
    return payload_bytes(entry.payload) if isinstance(entry, Publication) else 0


class HistoryStore:
    """The logs of all rooms of a process, together at most `max_bytes` of payload and `max_rooms` rooms.

    Past the bytes, the room that was written to least recently loses its oldest publications first. Past the
    rooms, it is forgotten. A forgotten room has a new epoch when it comes back, so no position ever lies: the
    epoch of rooms that begin is the store's, and each time a room is forgotten it changes.

    Args:
        max_bytes: bound on the payload bytes of all rooms together.
        epoch: unique for this store.
        max_rooms: bound on the number of rooms.
    """

    __slots__ = ("_epoch", "_forgotten", "_logs", "bytes", "max_bytes", "max_rooms")

    def __init__(self, max_bytes: int, epoch: str, max_rooms: int = 100_000) -> None:
        self.max_bytes = max_bytes
        self.max_rooms = max_rooms
        self.bytes = 0
        self._epoch = epoch
        self._forgotten = 0  # rooms
        self._logs: OrderedDict[str, HistoryLog] = OrderedDict()  # least recently written first

    def __len__(self) -> int:
        return len(self._logs)

    def position(self, room: str) -> Position:
        """The position of the newest publication there has been in the room."""
        return self.log(room).position

    def append(self, publication: Publication, history: History) -> Publication:
        """Append to the room's log and keep the store within its bounds."""
        log = self._logs[publication.room] = self.log(publication.room)
        before = log.bytes
        positioned = log.append(publication, history)
        self.bytes += log.bytes - before
        self._logs.move_to_end(publication.room)
        if self.bytes > self.max_bytes:
            self._shrink(log)
        if len(self._logs) > self.max_rooms:
            self._forget_room()
        return positioned

    def expire(self, room: str, before: float) -> HistoryLog:
        """Forget what is too old in one room, and return its log."""
        log = self.log(room)
        size = log.bytes
        log.expire(before)
        self.bytes += log.bytes - size
        return log

    def erase(self, room: str, position: Position) -> bool:
        """Take one publication out of a room's log; its place stays. False if it is not there."""
        log = self.log(room)
        before = log.bytes
        erased = log.epoch == position.epoch and log.erase(position.offset)
        self.bytes += log.bytes - before
        return erased

    def clear(self, room: str) -> None:
        """Forget a room's publications; its offsets go on."""
        log = self.log(room)
        self.bytes -= log.bytes
        while log:
            log.drop_oldest()

    def log(self, room: str) -> HistoryLog:
        """The room's log. That of a room never written to is not kept: anybody may ask for any name."""
        log = self._logs.get(room)
        return HistoryLog(f"{self._epoch}.{self._forgotten}") if log is None else log

    def _shrink(self, newest: HistoryLog) -> None:
        for log in self._logs.values():
            while self.bytes > self.max_bytes and len(log) > (log is newest):
                before = log.bytes
                log.drop_oldest()
                self.bytes += log.bytes - before
            if self.bytes <= self.max_bytes:
                return

    def _forget_room(self) -> None:
        _, log = self._logs.popitem(last=False)
        self.bytes -= log.bytes
        self._forgotten += 1
