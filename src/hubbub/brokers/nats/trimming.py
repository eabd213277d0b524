"""Deleting from the stream what the rooms' options do not keep: hygiene, as readers apply the options too."""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from hubbub.brokers.nats.store import RoomStore
from hubbub.core.errors import BrokerError
from hubbub.core.history import History

MAX_ROOMS: Final = 20_000
"""Rooms whose written records are counted, the most recently written first."""

PARTS: Final = 8
"""A history is deleted in so many steps: a step costs one request."""

MIN_COUNT: Final = 32
"""Publications per step, at least."""

MIN_BYTES: Final = 65_536
"""Bytes per step, at least."""

MIN_SECONDS: Final = 60.0
"""Seconds per step, at least."""

MAX_PURGES: Final = 8
"""Requests to delete at the same time."""

_logger = logging.getLogger("hubbub")


@dataclass(frozen=True, slots=True)
class _Mark:
    seq: int
    count: int
    bytes: int
    time: float


@dataclass(slots=True)
class _Written:
    count: int = 0
    bytes: int = 0
    marks: deque[_Mark] = field(default_factory=deque)


class Trimmer:
    """Counts what this node wrote into each room, and deletes what that pushed out.

    Each node does it for what it wrote itself, so a room keeps up to its size once per node that writes.
    """

    def __init__(self, store: RoomStore) -> None:
        self._store = store
        self._rooms: OrderedDict[str, _Written] = OrderedDict()
        self._due: dict[str, int] = {}  # room: the place of the stream before which all can go
        self._tasks: set[asyncio.Task[None]] = set()

    def wrote(self, room: str, seq: int, count: int, size: int, history: History) -> None:
        """A record of so many publications and bytes of payload was written at that place of the stream."""
        now = time.monotonic()
        written = self._rooms.setdefault(room, _Written())
        self._rooms.move_to_end(room)
        if len(self._rooms) > MAX_ROOMS:
            self._rooms.popitem(last=False)
        written.count += count
        written.bytes += size
        due = self._expendable(written, history, now)
        if due is not None:
            self._delete(room, due + 1)
        last = written.marks[-1] if written.marks else _Mark(0, 0, 0, 0.0)
        if (
            written.count - last.count >= max(history.size // PARTS, MIN_COUNT)
            or written.bytes - last.bytes >= max(history.bytes // PARTS, MIN_BYTES)
            or now - last.time >= max(history.ttl / PARTS, MIN_SECONDS)
        ):
            written.marks.append(_Mark(seq, written.count, written.bytes, now))

    def _expendable(self, written: _Written, history: History, now: float) -> int | None:
        """The last place of the stream that cannot be read any more: what came after it fills the history."""
        due = None
        while written.marks and (
            written.count - written.marks[0].count >= history.size
            or written.bytes - written.marks[0].bytes > history.bytes
            or now - written.marks[0].time > history.ttl
        ):
            due = written.marks.popleft().seq
        return due

    def _delete(self, room: str, before: int) -> None:
        self._due[room] = before
        if len(self._tasks) < MAX_PURGES:
            task = asyncio.create_task(self._delete_due())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _delete_due(self) -> None:
        while self._due:
            room, before = self._due.popitem()
            try:
                await self._store.purge(room, before)
            except BrokerError as error:
                _logger.debug("room %s: old publications are not deleted yet: %s", room, error)

    async def close(self) -> None:
        """Delete no more."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
