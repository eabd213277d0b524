"""What waits for one client that reads more slowly than it is written to: bounded in bytes, with a policy."""

from collections import OrderedDict, deque
from collections.abc import Collection, Hashable, Mapping
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from hubbub.core.errors import SlowConsumer
from hubbub.core.messages import Payload, Publication

F = TypeVar("F")
M = TypeVar("M")


class Overflow(Enum):
    """What happens to a room's publication when a member's outbox is full."""

    DISCONNECT = "disconnect"
    """The member is closed (1013); with history it comes back and resumes."""

    DROP_OLDEST = "drop_oldest"
    """The room's oldest waiting publications make way, and are counted."""

    KEEP_NEWEST = "keep_newest"
    """At any time only the newest publication per key waits: for prices, positions, progress."""


class Outgoing(msgspec.Struct, Generic[F], frozen=True, gc=False):
    """One message on its way to clients, encoded once for all that share a codec."""

    frame: F
    """What the codec made of it."""

    size: int
    """Bytes it counts for in an outbox."""

    room: str | None = None
    """None for a message to one client alone, which is never dropped."""

    key: str | None = None
    overflow: Overflow = Overflow.DISCONNECT


class Codec(Hashable, Protocol):
    """How publications are written for a kind of client. Members with the same codec share the bytes."""

    def encode(
        self,
        payload: Payload,
        *,
        room: str | None = None,
        key: str | None = None,
        overflow: Overflow = Overflow.DISCONNECT,
    ) -> Outgoing[Any]:
        """Encode once for all; only the codec and its transports know what the frame is."""
        ...

    def join(self, items: list[Outgoing[Any]]) -> Any:
        """What a transport's `write` takes to write all the items at once."""
        ...

    def encode_all(
        self, publications: list[Publication], payloads: list[Payload], overflow: Overflow
    ) -> list[Any]:
        """Encode what is published in one room, for `deliver`: an item for each payload.

        Args:
            publications: they have all that there is to know besides.
            payloads: what they look like to these clients.
            overflow: the room's.
        """
        ...

    def line_up(self, handles: Collection[Any]) -> Any:
        """The members' handles in the form that `deliver` goes through fastest. Made once per membership."""
        ...

    def size(self, items: list[Any]) -> int:
        """The bytes that items of `encode_all` count for."""
        ...

    def deliver(self, line: Any, items: list[Any]) -> Mapping[Any, Any]:
        """Write items of `encode_all` to every handle of the line. Never waits and never raises.

        Returns what was left over, by handle, where not everything was taken. The member must be given it, by
        `write_rest`, before anything else is written to it.
        """
        ...


def encode_each(
    codec: Codec, publications: list[Publication], payloads: list[Payload], overflow: Overflow
) -> list[Outgoing[Any]]:
    """`Codec.encode_all` for codecs whose clients may have an outbox."""
    return [
        codec.encode(payload, room=one.room, key=one.key, overflow=overflow)
        for payload, one in zip(payloads, publications, strict=True)
    ]


def size_of(items: list[Outgoing[Any]]) -> int:
    """`Codec.size` for such codecs."""
    return sum([item.size for item in items])


class Outbox(Generic[F]):
    """A queue of outgoing messages that holds at most `limit` bytes, and at most one message for 64 of them.

    The second bound, never under 1,024, is for tiny messages, whose place in the queue takes more memory than
    they do. A single message larger than the limit is taken when nothing else waits: it could never be sent
    otherwise.
    """

    __slots__ = ("_droppable", "_items", "_most_items", "_newest", "_sequence", "limit", "most", "size")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._most_items = max(limit // 64, 1_024)
        self.size = 0  # bytes waiting
        self.most = 0  # the largest that this ever was
        self._items: OrderedDict[int, Outgoing[F]] = OrderedDict()  # by sequence number, oldest first
        self._sequence = 0
        self._droppable: dict[str, deque[int]] = {}  # room -> its waiting items that may be dropped
        self._newest: dict[tuple[str, str | None], int] = {}  # (room, key) -> its one waiting item

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Outgoing[F]) -> int:
        """Queue an item; return how many were dropped for it, itself included.

        Raises:
            SlowConsumer: if it does not fit and its policy lets nothing be dropped. It was not queued.
        """
        dropped = 0
        if item.overflow is Overflow.KEEP_NEWEST and item.room is not None:
            dropped += self._remove(self._newest.get((item.room, item.key)))
        while self._items and (self.size + item.size > self.limit or len(self._items) >= self._most_items):
            if item.overflow is not Overflow.DROP_OLDEST or item.room is None:
                raise SlowConsumer(f"more than {self.limit} bytes are waiting")
            oldest = self._droppable.get(item.room)
            if not oldest:
                return dropped + 1
            dropped += self._remove(oldest[0])
        self._append(item)
        return dropped

    def take(self) -> Outgoing[F] | None:
        """Remove and return the oldest item; None when nothing waits."""
        if not self._items:
            return None
        sequence, item = self._items.popitem(last=False)
        self._forget(sequence, item)
        return item

    def clear(self) -> int:
        """Throw away everything; return how many items that was."""
        count = len(self._items)
        self._items.clear()
        self._droppable.clear()
        self._newest.clear()
        self.size = 0
        return count

    def _append(self, item: Outgoing[F]) -> None:
        self._sequence += 1
        self._items[self._sequence] = item
        self.size += item.size
        if self.size > self.most:
            self.most = self.size
        if item.room is None:
            return
        if item.overflow is Overflow.DROP_OLDEST:
            self._droppable.setdefault(item.room, deque()).append(self._sequence)
        elif item.overflow is Overflow.KEEP_NEWEST:
            self._newest[(item.room, item.key)] = self._sequence

    def _remove(self, sequence: int | None) -> int:
        if sequence is None:
            return 0
        self._forget(sequence, self._items.pop(sequence))
        return 1

    def _forget(self, sequence: int, item: Outgoing[F]) -> None:
        self.size -= item.size
        if item.room is None:
            return
        if item.overflow is Overflow.DROP_OLDEST:
            # Items of one room leave in the order in which they came: it is always the first.
            waiting = self._droppable[item.room]
            waiting.popleft()
            if not waiting:
                del self._droppable[item.room]
        elif item.overflow is Overflow.KEEP_NEWEST:
            del self._newest[(item.room, item.key)]
