"""Publishing into rooms with history: one writer per room and node, many publications in one record."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from hubbub.brokers.base import IDEMPOTENCY_WINDOW
from hubbub.brokers.nats.link import Link
from hubbub.brokers.nats.records import encode_record
from hubbub.brokers.nats.store import RoomStore, Tail, TailMoved, new_epoch
from hubbub.brokers.nats.streams import Streams, decode_answer, get_message
from hubbub.brokers.nats.trimming import Trimmer
from hubbub.core.errors import BrokerError
from hubbub.core.history import History
from hubbub.core.messages import Publication, payload_bytes
from hubbub.core.positions import Position

MAX_WAITING: Final = 100_000
MAX_WAITING_BYTES: Final = 67_108_864
MAX_RECORD: Final = 128
"""Publications in one record."""

MAX_RECORD_BYTES: Final = 262_144
"""Bytes past which no further publication joins a record."""

DEADLINE: Final = 5.0
"""Seconds for which a record that lost against other nodes is tried again."""

_logger = logging.getLogger("hubbub")


@dataclass(slots=True)
class Waiting:
    """A publication that waits to be accepted."""

    publication: Publication
    data: bytes
    history: History
    message_id: str | None
    answer: "asyncio.Future[Publication]" = field(repr=False)


@dataclass(slots=True)
class _Pause:
    """Who writes to a room besides its writer, and takes turns with it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Bound:
    """How much may wait to be accepted by the server."""

    __slots__ = ("_bytes", "_count")

    def __init__(self) -> None:
        self._count = 0
        self._bytes = 0

    def enter(self, size: int) -> None:
        """Count a publication of so many bytes. Raises `BrokerError` if too many wait."""
        if self._count >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES:
            raise BrokerError("too many publishes wait for NATS")
        self._count += 1
        self._bytes += size

    def leave(self, size: int) -> None:
        """It waits no more."""
        self._count -= 1
        self._bytes -= size


class Writer:
    """Writes the records of all rooms, each room's one after the other.

    What comes while a record is under way goes together into the next: so a busy room costs one round trip
    for many publications, and its order is the order of the calls.
    """

    def __init__(self, link: Link, store: RoomStore, streams: Streams) -> None:
        self._link = link
        self._store = store
        self._streams = streams
        self._trimmer = Trimmer(store)
        self._rooms: dict[str, deque[Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pauses: dict[str, _Pause] = {}
        self._sure_from = asyncio.get_running_loop().time() + IDEMPOTENCY_WINDOW

    async def publish(self, waiting: Waiting) -> Publication:
        """Have it written; returns it with its position.

        Raises:
            BrokerError: if it was not accepted, or if that is unknown.
        """
        room = waiting.publication.room
        queue = self._rooms.get(room)
        if queue is None:
            queue = self._rooms[room] = deque()
            task = asyncio.create_task(self._write_room(room, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        queue.append(waiting)
        return await waiting.answer

    @asynccontextmanager
    async def pause(self, room: str) -> AsyncIterator[None]:
        """Who is inside of the block writes to the room alone on this node; the others wait."""
        pause = self._pauses.setdefault(room, _Pause())
        pause.users += 1
        try:
            async with pause.lock:
                yield
        finally:
            pause.users -= 1
            if not pause.users:
                del self._pauses[room]

    async def close(self) -> None:
        """Fail all that waits."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._trimmer.close()

    async def _write_room(self, room: str, queue: deque[Waiting]) -> None:
        group: list[Waiting] = []
        try:
            while queue:
                group = _take(queue)
                if group and room in self._pauses:
                    async with self.pause(room):
                        await self._write(room, group)
                elif group:
                    await self._write(room, group)
        except asyncio.CancelledError:
            _fail([*group, *queue], BrokerError("the broker stops"))
            raise
        finally:
            del self._rooms[room]

    async def _write(self, room: str, group: list[Waiting]) -> None:
        try:
            await self._append(room, group)
        except BrokerError as error:
            _fail(group, error)
        except Exception as error:
            _logger.exception("room %s: writing failed", room)
            _fail(group, BrokerError(f"writing failed: {error}"))

    async def _append(self, room: str, group: list[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DEADLINE
        envelopes = [one.data for one in group]
        if loop.time() < self._sure_from and await self._answer_done(group[0]):
            return
        while True:
            tail = await self._tail(room)
            epoch, offset = (tail.position.epoch, tail.position.offset) if tail else (new_epoch(), 0)
            top = Position(epoch, offset + len(group))
            data = encode_record(epoch, top.offset, envelopes)
            try:
                ack = await self._store.append(room, data, tail, message_id=group[0].message_id)
                break
            except TailMoved:
                if loop.time() > deadline:
                    raise
        if ack.duplicate:
            await self._answer_duplicate(room, group[0], ack.seq)
            return
        self._store.saw(room, top, ack.seq, data)
        for number, one in enumerate(group, start=1):
            if not one.answer.done():
                position = Position(epoch, offset + number)
                one.answer.set_result(msgspec.structs.replace(one.publication, position=position))
        size = sum(payload_bytes(one.publication.payload) for one in group)
        self._trimmer.wrote(room, ack.seq, len(group), size, group[-1].history)
        if group[0].message_id is not None:
            await self._note_done(group[0].message_id, group[0].publication.time, top)

    async def _tail(self, room: str) -> Tail | None:
        known = self._store.known_tail(room)
        if known is not None:
            return known
        last = await self._store.last(room)
        return None if last is None else last[0]

    async def _note_done(self, message_id: str, time: float, position: Position) -> None:
        """For those who repeat the publish when the record itself is not kept any more."""
        note = msgspec.json.encode((time, position.epoch, position.offset))
        await self._link.publish(self._store.subjects.done(message_id), note)

    async def _answer_duplicate(self, room: str, one: Waiting, seq: int) -> None:
        record = await self._store.record_at(seq)
        if record is not None:
            first = next(record.publications(room))
            _answer(one, first.time, first.position)
        elif not await self._answer_done(one):
            raise BrokerError("it was published before, but its position is not known any more")

    async def _answer_done(self, one: Waiting) -> bool:
        """Whether it is noted that it was published before.

        A server that was restarted knows only the ids of what it still stores, so for the length of the
        window after each connect the note is looked up before the record is written.
        """
        if one.message_id is None:
            return False
        query = {"last_by_subj": self._store.subjects.done(one.message_id)}
        found = await get_message(self._link, self._streams.once, query, self._streams.replicas)
        if found is None:
            return False
        time, epoch, offset = decode_answer(found[1], tuple[float, str, int])
        _answer(one, time, Position(epoch, offset))
        return True


def _answer(one: Waiting, time: float, position: Position | None) -> None:
    if not one.answer.done():
        one.answer.set_result(msgspec.structs.replace(one.publication, time=time, position=position))


def _take(queue: deque[Waiting]) -> list[Waiting]:
    """The next record's publications. One with an idempotency key is a record of its own."""
    group: list[Waiting] = []
    size = 0
    while queue and len(group) < MAX_RECORD and size < MAX_RECORD_BYTES:
        if group and queue[0].message_id is not None:
            break
        one = queue.popleft()
        if one.answer.done():  # who published it was cancelled
            continue
        if group and size + len(one.data) > MAX_RECORD_BYTES:
            queue.appendleft(one)
            break
        group.append(one)
        size += len(one.data)
        if one.message_id is not None:
            break
    return group


def _fail(group: list[Waiting], error: BrokerError) -> None:
    for one in group:
        if not one.answer.done():
            one.answer.set_exception(error)
            one.answer.exception()  # who published it may have been cancelled
