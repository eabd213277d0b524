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

    @property
    def position(self) -> Position:
        """Where the room stands with this record."""
        return Position(self.epoch, self.top)

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
    """Write a record."""
    return _encoder.encode(Record(VERSION, epoch, top, envelopes))


def decode_record(data: bytes) -> Record:
    """Read a record.

    Raises:
        BrokerError: if it is none, or if only a newer version of Hubbub can read it.
    """
    try:
        record = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokerError(f"not a record: {error}") from error
    if record.version != VERSION or (record.epoch and record.top < len(record.envelopes)):
        raise BrokerError(f"a record of version {record.version}, which this node cannot read")
    return record
