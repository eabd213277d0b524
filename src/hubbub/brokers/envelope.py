"""How a publication is written between nodes and into a store: versioned, MessagePack, bounded."""

from collections.abc import Mapping

import msgspec

from hubbub.core.errors import BrokerError
from hubbub.core.messages import Json, Payload, Publication
from hubbub.core.positions import Position

VERSION = 1
MAX_BYTES = 16_777_216
"""Largest envelope written or read."""


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A publication without its room and position, which the store knows itself.

    Fields are only ever added at the end, with a default: an older node reads what it knows.
    """

    version: int
    payload: Payload
    time: float
    publisher: str | None = None
    key: str | None = None
    tags: Mapping[str, str] | None = None
    json: bool = False

    def publication(self, room: str, position: Position | None) -> Publication:
        """The publication, put back into its room."""
        payload = Json(self.payload) if self.json and isinstance(self.payload, str) else self.payload
        return Publication(room, payload, self.time, position, self.publisher, self.key, self.tags)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def encode(
    payload: Payload,
    time: float,
    publisher: str | None = None,
    key: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> bytes:
    """Write an envelope.

    Raises:
        BrokerError: if it would be larger than `MAX_BYTES`.
    """
    if isinstance(payload, Json):
        envelope = Envelope(VERSION, str(payload), time, publisher, key, tags, True)
    else:
        envelope = Envelope(VERSION, payload, time, publisher, key, tags)
    data = _encoder.encode(envelope)
    if len(data) > MAX_BYTES:
        raise BrokerError(f"a publication of {len(data)} bytes is too large for the broker")
    return data


def decode(data: bytes) -> Envelope:
    """Read an envelope.

    Raises:
        BrokerError: if it is none, if it is too large, or if only a newer version of Hubbub can read it.
    """
    if len(data) > MAX_BYTES:
        raise BrokerError(f"an envelope of {len(data)} bytes is too large")
    try:
        envelope = _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BrokerError(f"not an envelope: {error}") from error
    if envelope.version != VERSION:
        raise BrokerError(f"an envelope of version {envelope.version}, which this node cannot read")
    return envelope
