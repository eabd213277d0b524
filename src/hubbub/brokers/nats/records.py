"""What is written into one NATS message: publications of one room that follow each other."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hubbub.brokers.envelope import decode
from hubbub.core.errors import BrokerError
from hubbub.core.messages import Publication
from hubbub.core.positions import Position

VERSION: Final = 1


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Publications of one room, written in one step.

    Without publications it is a marker: it says where the room stands, and that nothing before it is kept.
    Fields are only ever added at the end, with a default.
    """

    version: int
    epoch: str
    """Empty for a room without history."""

    top: int
    """Offset of the last of the publications, or where a marker stands."""

    envelopes: Sequence[bytes]

    restated_top: int = 0
    """Offset of the last of those that are restated."""

    restated: Sequence[bytes] = ()
    """Earlier publications that follow each other, as they are now: empty bytes for one that was erased. They
    count in place of the record that had them. A node that does not know this field sees a marker."""

    replaced: Sequence[int] = ()
    """The places of the stream of all records that had them before; they are deleted."""

    @property
    def is_marker(self) -> bool:
        """Whether nothing before it is kept."""
        return not self.envelopes and not self.restated

    @property
    def position(self) -> Position:
        """Where the room stands with this record."""
        return Position(self.epoch, self.top)

    def covers(self, offset: int) -> bool:
        """Whether it has, or restates, the publication at that offset."""
        return (
            self.top - len(self.envelopes) < offset <= self.top
            if self.envelopes
            else self.restated_top - len(self.restated) < offset <= self.restated_top
        )

    def without(self, offset: int) -> Sequence[bytes]:
        """What is left when a publication that it covers is erased: all that it has, or restates."""
        run = [*(self.envelopes or self.restated)]
        run[offset - self.last - 1] = b""
        return run

    @property
    def last(self) -> int:
        """Offset of the last publication that it has, or restates."""
        return self.top if self.envelopes else self.restated_top

    def has(self, offset: int) -> bool:
        """Whether a publication that it covers is not erased."""
        return bool((self.envelopes or self.restated)[offset - self.last - 1])

    def restatements(self, room: str) -> Iterator[tuple[int, Publication | None]]:
        """What it restates, by offset; None for what was erased. Raises `BrokerError` like `publications`."""
        offset = self.restated_top - len(self.restated)
        for data in self.restated:
            offset += 1
            yield offset, decode(data).publication(room, Position(self.epoch, offset)) if data else None

    def publications(self, room: str) -> Iterator[Publication]:
        """The publications, each with its position.

        Raises:
            BrokerError: if one of them cannot be read.
        """
        offset = self.top - len(self.envelopes)
        for data in self.envelopes:
            offset += 1
            position = Position(self.epoch, offset) if self.epoch else None
            yield decode(data).publication(room, position)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def encode_record(epoch: str, top: int, envelopes: Sequence[bytes]) -> bytes:
    """Write a record of new publications, or a marker."""
    return _encoder.encode((VERSION, epoch, top, envelopes))


def encode_restatement(position: Position, last: int, run: Sequence[bytes], replaced: Sequence[int]) -> bytes:
    """Write a record that restates publications.

    Args:
        position: where the room stands.
        last: offset of the last of the publications.
        run: the publications that follow each other up to there; empty bytes for erased ones.
        replaced: the places of the stream that had them before.
    """
    return _encoder.encode((VERSION, position.epoch, position.offset, (), last, run, replaced))


def decode_record(data: bytes) -> Record:
    """Read a record.

    Raises:
        BrokerError: if it is none, or if only a newer version of Hubbub can read it.
    """
    try:
        record = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokerError(f"not a record: {error}") from error
    fits = record.top >= len(record.envelopes) and record.restated_top >= len(record.restated)
    if record.version != VERSION or (record.epoch and not fits):
        raise BrokerError(f"a record of version {record.version}, which this node cannot read")
    return record
