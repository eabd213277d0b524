"""Rooms' histories in the stream: where each of them stands, what is kept, and adding to it."""

import logging
import secrets
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from hubbub.brokers.nats.link import Link
from hubbub.brokers.nats.records import Record, decode_record, encode_record, encode_restatement
from hubbub.brokers.nats.seen import Seen, Sight
from hubbub.brokers.nats.streams import WRONG_LAST_SEQUENCE, Ack, Deleted, decode_answer, get_message
from hubbub.brokers.nats.subjects import Subjects
from hubbub.core.errors import BrokerError
from hubbub.core.positions import Position

MAX_TAILS: Final = 100_000
"""Rooms whose last record this node remembers; of the others it has to ask."""

MARKER_TTL: Final = 86_400
"""Seconds for which a room that was never written to keeps its epoch; followers renew it."""

BATCH: Final = 500
"""Messages read with one request."""

TRIES: Final = 5

MARKS: Final = 64
"""Records of a room whose places are remembered, so that a reader need not begin at the oldest."""

MAX_MARKED: Final = 10_000
"""Rooms of which the places of more than the last record are remembered."""

_logger = logging.getLogger("hubbub")


class TailMoved(BrokerError):
    """Another node wrote to the room first."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A room's last record."""

    position: Position
    seq: int
    """Its place in the stream; the next record is accepted only after just this one."""


class _State(msgspec.Struct, frozen=True):
    last_seq: int


class _Info(msgspec.Struct, frozen=True):
    state: _State | None = None


class RoomStore:
    """Reads and writes the stream of the histories, over one connection.

    Args:
        link: the connection.
        stream: the stream's name.
        subjects: how subjects are named.
        replicas: how many servers keep the stream.
        earlier: the store of a connection before; what it has seen is used if the stream is the same.
    """

    def __init__(
        self, link: Link, stream: str, subjects: Subjects, replicas: int, earlier: "RoomStore | None" = None
    ) -> None:
        self._link = link
        self.stream = stream
        self.subjects = subjects
        self._replicas = replicas
        self._tails: OrderedDict[str, Tail] = OrderedDict()
        self._marks: OrderedDict[str, deque[Tail]] = OrderedDict()
        self._seen = Seen()
        if earlier is not None and earlier.stream == stream:
            self._marks, self._seen = earlier._marks, earlier._seen

    async def set_back(self) -> bool:
        """Whether the stream has lost some of what this node has seen."""
        newest = self._seen.newest
        if newest is None:
            return False
        if await self._last_place() < newest.seq:
            return True
        found = await self._get({"seq": newest.seq})  # others may have written it over
        return found is not None and not newest.is_of(found[1])

    def doubt(self) -> None:
        """Believe nothing that was seen before; `last` looks at each room before it is written to."""
        self._tails.clear()
        self._marks.clear()
        self._seen.doubt()

    def begin_again(self) -> None:
        """The rooms that are followed were looked at: `set_back` is about what is seen from now on."""
        self._seen.begin_again()

    def known_tail(self, room: str) -> Tail | None:
        """The room's last record, as far as this node has seen."""
        return self._tails.get(room)

    def saw(self, room: str, position: Position, seq: int, data: bytes) -> None:
        """Remember that the room's record with that position and content is at `seq`."""
        if self._seen.doubts(room):
            return
        self._seen.note(room, Sight.of(position, seq, data))
        known = self._tails.get(room)
        if known is not None and known.seq >= seq:
            return
        self._tails[room] = Tail(position, seq)
        self._tails.move_to_end(room)
        if len(self._tails) > MAX_TAILS:
            self._tails.popitem(last=False)
        if known is not None:
            self.note(room, [known])

    def note(self, room: str, records: Iterable[Tail]) -> None:
        """Remember where some of the room's records are, oldest first, for `place_after`."""
        self._marks.setdefault(room, deque(maxlen=MARKS)).extend(records)
        self._marks.move_to_end(room)
        if len(self._marks) > MAX_MARKED:
            self._marks.popitem(last=False)

    def place_after(self, room: str, position: Position) -> int:
        """A place of the stream that nothing which follows that position is before."""
        marks = self._marks.get(room, ())
        return max(
            (
                mark.seq + 1
                for mark in marks
                if mark.position.epoch == position.epoch and mark.position.offset <= position.offset
            ),
            default=1,
        )

    def forget(self, room: str) -> None:
        """The room's last record may be another one than this node has seen."""
        self._tails.pop(room, None)

    async def last(self, room: str) -> tuple[Tail, Record] | None:
        """Ask for the room's last record; None if there is none.

        If the stream has lost one that this node has seen, the room begins a new epoch.
        """
        for _ in range(TRIES):
            seen = self._seen.last(room)
            found = await self._get({"last_by_subj": self.subjects.stored(room)})
            self.forget(room)
            if found is None:
                self._seen.settle(room, None)
                return None
            seq, data = found
            record = decode_record(data)
            tail = Tail(record.position, seq)
            if seen is None or not await self._lost(room, seen, tail):
                if seen is self._seen.last(room):
                    self._seen.settle(room, Sight.of(record.position, seq, data))
                self.saw(room, record.position, seq, data)
                return tail, record
            if not self._seen.doubts(room):  # else that was logged, once for all rooms
                _logger.error("room %s: the NATS server has lost publications; it begins anew", room)
            try:
                await self.mark(room, Position(new_epoch(), 0), tail)
            except TailMoved:
                continue
        raise BrokerError("the room's position changes too fast")

    async def _lost(self, room: str, seen: Sight, tail: Tail) -> bool:
        """Whether the stream has lost the room's record that this node has seen."""
        if seen.position.epoch != tail.position.epoch:
            return False
        if tail.position < seen.position or not self._seen.doubts(room):
            return tail.position < seen.position
        found = await self._get({"seq": seen.seq})
        if found is None:
            return not await self._replaced(room, seen.seq)
        return not seen.is_of(found[1])

    async def _replaced(self, room: str, seq: int) -> bool:
        """Whether a record is missing because something of it was erased."""
        start, more = seq + 1, True
        while more:
            records, more = await self.records(room, start)
            if any(seq in record.replaced for _, record in records):
                return True
            start = records[-1][0] + 1 if records else start
        return False

    async def tail(self, room: str) -> Tail:
        """Where the room stands. One never written to gets a marker, so that all nodes know its epoch."""
        for _ in range(TRIES):
            found = await self.last(room)
            if found is not None:
                return found[0]
            position = Position(new_epoch(), 0)
            try:
                return await self.mark(room, position, None, ttl=MARKER_TTL)
            except TailMoved:
                continue
        raise BrokerError("the room's position changes too fast")

    async def mark(
        self, room: str, position: Position, after: Tail | None, *, ttl: int | None = None
    ) -> Tail:
        """Write that the room stands at that position and that nothing before is kept.

        Args:
            room: the room's name.
            position: where it stands.
            after: its last record.
            ttl: seconds until the marker disappears; only where no publication is before it.

        Raises:
            TailMoved: if the room's last record is another one.
        """
        data = encode_record(position.epoch, position.offset, ())
        ack = await self.append(room, data, after, ttl=ttl)
        self.saw(room, position, ack.seq, data)
        return Tail(position, ack.seq)

    async def renew(self, room: str) -> None:
        """Keep the epoch of a room that is followed and still empty."""
        found = await self.last(room)
        if found is None or found[0].position.offset > 0:
            return
        try:
            await self.mark(room, found[0].position, found[0], ttl=MARKER_TTL)
        except TailMoved:
            return  # somebody published just now

    async def restart(self, room: str, expected: Position) -> Tail:
        """Where the room stands; in a new epoch if the stream has lost what the room had up to `expected`."""
        tail = await self.tail(room)
        if tail.position.epoch == expected.epoch and tail.position < expected:
            try:
                return await self.mark(room, Position(new_epoch(), 0), tail)
            except TailMoved:
                return await self.tail(room)
        return tail

    async def append(
        self,
        room: str,
        data: bytes,
        after: Tail | None,
        *,
        message_id: str | None = None,
        ttl: int | None = None,
    ) -> Ack:
        """Write a record after that one; None says that there is none yet.

        Raises:
            TailMoved: if the room's last record is another one.
            BrokerError: if it was not accepted, or if that is unknown.
        """
        headers = {
            "Nats-Expected-Stream": self.stream,
            "Nats-Expected-Last-Subject-Sequence": str(0 if after is None else after.seq),
        }
        if message_id is not None:
            headers["Nats-Msg-Id"] = message_id
        if ttl is not None:
            headers["Nats-TTL"] = f"{ttl}s"
        try:
            reply = await self._link.request(self.subjects.stored(room), data, headers)
        except BaseException:
            self.forget(room)  # it may have been stored all the same
            raise
        ack = decode_answer(reply.data, Ack)
        if ack.error is not None:
            self.forget(room)
            if ack.error.err_code in WRONG_LAST_SEQUENCE:
                raise TailMoved("another node wrote to the room first")
            raise BrokerError(f"JetStream refused it: {ack.error.description}")
        return ack

    async def record_at(self, seq: int) -> Record | None:
        """The record at that place of the stream; None if it is not kept."""
        found = await self._get({"seq": seq})
        return None if found is None else decode_record(found[1])

    async def records(self, room: str, start: int) -> tuple[list[tuple[int, Record]], bool]:
        """Records of a room from that place of the stream on, with theirs, and whether there are more."""
        query = {"seq": start, "next_by_subj": self.subjects.stored(room), "batch": BATCH}
        replies = await self._link.request_many(self._direct, msgspec.json.encode(query))
        if replies[-1].status not in ("204", "404"):
            raise BrokerError(f"JetStream refused to read: {replies[-1].status}")
        found = [(int(one.headers["Nats-Sequence"]), decode_record(one.data)) for one in replies[:-1]]
        return found, bool(found) and int(replies[-1].headers.get("Nats-Num-Pending", 0)) > 0

    async def restate(
        self, room: str, after: Tail, last: int, run: Sequence[bytes], replaced: Sequence[int]
    ) -> None:
        """Write earlier publications again; see `encode_restatement`.

        Raises:
            TailMoved: if the room's last record is another one than `after`.
        """
        data = encode_restatement(after.position, last, run, replaced)
        ack = await self.append(room, data, after)
        self.saw(room, after.position, ack.seq, data)

    async def delete(self, seq: int) -> None:
        """Delete the record at that place of the stream, and have the server write over it."""
        query = msgspec.json.encode({"seq": seq})
        reply = await self._link.request(f"$JS.API.STREAM.MSG.DELETE.{self.stream}", query)
        answer = decode_answer(reply.data, Deleted)
        if answer.error is not None and await self._get({"seq": seq}) is not None:
            raise BrokerError(f"JetStream did not delete what was erased: {answer.error.description}")

    async def changed(self, rooms: Sequence[str], since: int) -> tuple[int, list[tuple[str, Position]]]:
        """Where those of the rooms stand that were written to after that place of the stream.

        Returns the place up to which that is true, and remembers what it saw. A place before `since` means
        that a server was asked that lags behind, or that the stream lost what it had: see `set_back`.
        """
        subjects = {self.subjects.stored(room): room for room in rooms}
        query = {"multi_last": list(subjects), "seq": since + 1}
        replies = await self._link.request_many(self._direct, msgspec.json.encode(query))
        positions: list[tuple[str, Position]] = []
        for reply in replies[:-1]:
            room = subjects[reply.headers["Nats-Subject"]]
            try:
                position = decode_record(reply.data).position
            except BrokerError as error:  # of a newer version perhaps; the other rooms go on
                _logger.error("room %s: %s", room, error)
                continue
            self.saw(room, position, int(reply.headers["Nats-Sequence"]), reply.data)
            positions.append((room, position))
        up_to = int(replies[-1].headers.get("Nats-UpTo-Sequence", 0))
        if replies[-1].status not in ("204", "404"):
            raise BrokerError(f"JetStream refused to tell positions: {replies[-1].status}")
        return up_to, positions

    async def _last_place(self) -> int:
        """The place of the newest message there has been in the stream."""
        reply = await self._link.request(f"$JS.API.STREAM.INFO.{self.stream}")
        info = decode_answer(reply.data, _Info)
        if info.state is None:
            raise BrokerError("the stream is not there")
        return info.state.last_seq

    async def purge(self, room: str, before: int) -> None:
        """Delete what the room has before that place of the stream."""
        query = msgspec.json.encode({"filter": self.subjects.stored(room), "seq": before})
        await self._link.request(f"$JS.API.STREAM.PURGE.{self.stream}", query)

    @property
    def _direct(self) -> str:
        return f"$JS.API.DIRECT.GET.{self.stream}"

    async def _get(self, query: Mapping[str, object]) -> tuple[int, bytes] | None:
        return await get_message(self._link, self.stream, query, self._replicas)


def new_epoch() -> str:
    """A name for a room's offsets that no room has had."""
    return secrets.token_urlsafe(9)
