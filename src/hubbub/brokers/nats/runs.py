"""A room's publications, put together from the records of the stream."""

from collections.abc import Sequence
from typing import TypeAlias

from hubbub.brokers.nats.records import Record
from hubbub.brokers.nats.store import MARKS, RoomStore, Tail, TailMoved
from hubbub.core.messages import Publication
from hubbub.core.positions import Position

Run: TypeAlias = Sequence[Publication | None]
"""Publications at consecutive offsets up to the newest; None in the place of one that was erased."""


async def read_run(store: RoomStore, room: str, tail: Tail, since: Position | None) -> Run:
    """What the stream has of a room without a gap, up to one of its records.

    Args:
        store: reads the stream.
        room: the room's name.
        tail: the record.
        since: what is not after it may be left out.

    Raises:
        TailMoved: if it is not the last record any more, and was removed.
    """
    found, top = _Assembly(room), tail.position.offset
    places: list[Tail] = []
    start, more = 1 if since is None else store.place_after(room, since), True
    # Where one is missing, what restates it may stand after the tail: somebody erases just now.
    while more and (start <= tail.seq or since is None or not found.whole(since.offset + 1, top)):
        records, more = await store.records(room, start)
        for seq, record in records:
            start = seq + 1
            if seq <= tail.seq:
                found.add(record)
                places.append(Tail(record.position, seq))
            else:
                found.restate(record)
    run = found.run(top)
    # Without the tail the server that answered lags behind, and may have what was erased.
    if not run or start <= tail.seq:
        raise TailMoved("the room's history was removed meanwhile")
    store.note(room, places[-MARKS:])
    return run


class _Assembly:
    """Takes a room's records in their order in the stream."""

    __slots__ = ("_entries", "_epoch", "_room")

    def __init__(self, room: str) -> None:
        self._room = room
        self._epoch = ""
        self._entries: dict[int, Publication | None] = {}  # by offset

    def add(self, record: Record) -> None:
        """Take a record. A marker, or another epoch, ends what was before."""
        if record.is_marker or record.epoch != self._epoch:
            self._entries.clear()
            self._epoch = record.epoch
        offset = record.top - len(record.envelopes)
        for publication in record.publications(self._room):
            offset += 1
            self._entries[offset] = publication
        self.restate(record)

    def restate(self, record: Record) -> None:
        """Take only what a record restates."""
        if record.epoch == self._epoch:
            self._entries.update(record.restatements(self._room))

    def whole(self, first: int, top: int) -> bool:
        """Whether everything from an offset up to another is here."""
        return all(offset in self._entries for offset in range(first, top + 1))

    def run(self, top: int) -> Run:
        """What is here without a gap up to `top`."""
        first = top
        while first in self._entries:
            first -= 1
        return [self._entries[offset] for offset in range(first + 1, top + 1)]
