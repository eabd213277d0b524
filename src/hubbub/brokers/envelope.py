"""How a publication is written between nodes and into a store: versioned, MessagePack, bounded."""

from collections.abc import Mapping
from enum import IntEnum

import msgspec

from hubbub.core.errors import BrokerError
from hubbub.core.messages import Json, Payload, Publication
from hubbub.core.positions import Position

VERSION = 1
MAX_BYTES = 16_777_216
"""Largest envelope written or read."""


class Kind(IntEnum):
    """What the bytes of a payload were."""

    TEXT = 0
    JSON = 1
    BINARY = 2


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A publication without its room and position, which the store knows itself.

    Fields are only ever added at the end, with a default: an older node reads what it knows.
    """

    version: int
    kind: Kind
    data: bytes
    time: float
    publisher: str | None = None
    key: str | None = None
    tags: Mapping[str, str] | None = None

    @property
    def payload(self) -> Payload:
        """The payload as it was published. Raises `UnicodeDecodeError` if text is none."""
        if self.kind is Kind.BINARY:
            return self.data
        return Json(self.data, "utf-8") if self.kind is Kind.JSON else self.data.decode()

    def publication(self, room: str, position: Position | None) -> Publication:
        """The publication, put back into its room."""
        return Publication(room, self.payload, self.time, position, self.publisher, self.key, self.tags)


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
    if isinstance(payload, bytes):
        kind, content = Kind.BINARY, payload
    else:
        kind, content = Kind.JSON if isinstance(payload, Json) else Kind.TEXT, payload.encode()
    data = _encoder.encode(Envelope(VERSION, kind, content, time, publisher, key, tags))
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
        if envelope.version != VERSION:
            raise BrokerError(f"an envelope of version {envelope.version}, which this node cannot read")
        if envelope.kind is not Kind.BINARY:
            envelope.data.decode()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BrokerError(f"not an envelope: {error}") from error
    return envelope
