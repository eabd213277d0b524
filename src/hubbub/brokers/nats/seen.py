"""What a node has seen of the stream: shows that the server was set back to older data.

That happens when a backup is restored, or when the machine crashes before the server's data is on its disk.
The server then gives the same places, and a writer would give the same offsets, to other records.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from hubbub.core.positions import Position

MAX_SEEN: Final = 100_000
"""Rooms whose last record is remembered."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A record that was seen in the stream."""

    position: Position
    seq: int
    """Its place in the stream."""

    checksum: int

    @classmethod
    def of(cls, position: Position, seq: int, data: bytes) -> "Sight":
        """A record with that content."""
        return cls(position, seq, crc32(data))

    def is_of(self, data: bytes) -> bool:
        """Whether that is its content. Each publication says its time, so no other record has the same."""
        return crc32(data) == self.checksum


class Seen:
    """The newest record of each room that this node has seen in one stream, over all its connections."""

    __slots__ = ("_doubted", "_rooms", "newest")

    def __init__(self) -> None:
        self._rooms: OrderedDict[str, Sight] = OrderedDict()
        self._doubted: set[str] = set()
        self.newest: Sight | None = None
        """Of all rooms."""

    def note(self, room: str, sight: Sight) -> None:
        """A record was seen; an older one than is known changes nothing."""
        if self.newest is None or self.newest.seq < sight.seq:
            self.newest = sight
        known = self._rooms.get(room)
        if known is None or known.seq < sight.seq:
            self._put(room, sight)

    def _put(self, room: str, sight: Sight) -> None:
        self._rooms[room] = sight
        self._rooms.move_to_end(room)
        if len(self._rooms) > MAX_SEEN:
            self._doubted.discard(self._rooms.popitem(last=False)[0])

    def last(self, room: str) -> Sight | None:
        """The room's newest record that was seen."""
        return self._rooms.get(room)

    def doubt(self) -> None:
        """The stream has lost some of it: each room has to be looked at before it is written to again."""
        self._doubted.update(self._rooms)

    def begin_again(self) -> None:
        """What is seen from now on tells whether the stream loses something again."""
        self.newest = None

    def doubts(self, room: str) -> bool:
        """Whether the room has to be looked at."""
        return room in self._doubted

    def settle(self, room: str, sight: Sight | None) -> None:
        """The room was looked at, and that is its last record now."""
        self._doubted.discard(room)
        if sight is None:
            self._rooms.pop(room, None)
        else:
            self._put(room, sight)
