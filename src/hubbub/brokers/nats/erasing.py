"""Taking one publication out of a room's history, with the others of its record staying where they are.

A message of the stream cannot be changed, and several publications may be in one. So the others are written
once more, at the end of the room's records, with an empty place for the erased one; then the message that had
it is deleted. Readers put the room together again by offsets.
"""

import asyncio
from typing import Final

from hubbub.brokers.nats.records import Record
from hubbub.brokers.nats.store import RoomStore, Tail, TailMoved
from hubbub.core.errors import BrokerError
from hubbub.core.positions import Position

PAUSE: Final = 0.01
"""Seconds until it is tried again, as another node was quicker, or a server lags behind."""

DEADLINE: Final = 5.0
"""Seconds for which it is tried again while other nodes write first."""


async def erase(store: RoomStore, room: str, position: Position) -> bool:
    """Take one publication out; False if it is not kept, or was taken out before.

    Raises:
        BrokerError: if it was not done, or if that is unknown.
    """
    deadline = asyncio.get_running_loop().time() + DEADLINE
    search = _Search(store, room, position)
    while True:
        last = await store.last(room)
        tail = None if last is None else last[0]
        if tail is None or tail.position.epoch != position.epoch or tail.position < position:
            return False
        try:
            await search.go_on(tail)
            newest = search.newest
            if newest is None:
                return False
            there = newest.has(position.offset)
            if there:
                run = newest.without(position.offset)
                await store.restate(room, tail, newest.last, run, search.replaced())
        except TailMoved:
            if asyncio.get_running_loop().time() > deadline:
                raise BrokerError("other nodes publish too fast") from None
            await asyncio.sleep(PAUSE)
            continue
        for seq in search.places if there else search.places[:-1]:
            await store.delete(seq)
        return there


class _Search:
    """Finds the records that have a publication, or had it restated."""

    def __init__(self, store: RoomStore, room: str, position: Position) -> None:
        self._store = store
        self._room = room
        self._epoch, self._offset = position.epoch, position.offset
        self._start = store.place_after(room, Position(position.epoch, position.offset - 1))
        self._covering: list[tuple[int, Record]] = []

    async def go_on(self, tail: Tail) -> None:
        """Read what was written since the last time, at least up to the room's last record.

        Raises:
            TailMoved: if that is not there: it was removed, or the server that answered lags behind, and may
                not know what was erased last.
        """
        more = True
        while more:
            records, more = await self._store.records(self._room, self._start)
            for seq, record in records:
                self._start = seq + 1
                if record.is_marker:
                    self._covering.clear()
                elif record.epoch == self._epoch and record.covers(self._offset):
                    self._covering.append((seq, record))
        if self._start <= tail.seq:
            raise TailMoved("the room's last record is not there")

    @property
    def newest(self) -> Record | None:
        """The record that counts; None if none has it."""
        return self._covering[-1][1] if self._covering else None

    @property
    def places(self) -> list[int]:
        """Where all of them are, the one that counts last."""
        return [seq for seq, _ in self._covering]

    def replaced(self) -> list[int]:
        """The places of all records that ever had it."""
        earlier = [] if self.newest is None else self.newest.replaced
        return sorted({*earlier, *self.places})
