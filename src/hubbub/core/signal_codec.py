"""How nodes write to each other: versioned MessagePack, bounded. What cannot be read is no message."""

from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

VERSION: Final = 1
"""The first byte of every message. A node ignores messages of a version that it does not know.

Within a version, fields are only added at the end, with a default, and unknown kinds are ignored.
"""

MAX_ID: Final = 255
"""Longest id of a node, a connection or a user, in characters."""

Id: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
"""The id of a node or of a connection."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """Write a message."""
    return bytes((VERSION,)) + _encoder.encode(message)


def decode(data: bytes, decoder: msgspec.msgpack.Decoder[T], most: int) -> T | None:
    """Read a message; None for what is none, or is larger than `most` bytes."""
    if len(data) > most or not data or data[0] != VERSION:
        return None
    try:
        return decoder.decode(memoryview(data)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
