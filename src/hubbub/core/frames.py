"""RFC 6455 frames as a server writes them, and the values that both directions share.

No asyncio, no clock, no socket. Reading is in `hubbub.core.frame_parser`.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

from hubbub.core.errors import CloseCode


class Opcode(IntEnum):
    """Frame opcodes (RFC 6455 section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


@dataclass(frozen=True, slots=True)
class Ping:
    """The client asks for a pong with the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The client answers a ping, or sends a pong unasked."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The client's close frame. `code` is 1005 when the frame had none (RFC 6455 section 7.1.5)."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Violation:
    """The client broke the rules: fail the connection with this close code. Always the last event."""

    code: CloseCode
    reason: str


Event = str | bytes | Ping | Pong | Close | Violation
"""What a client did: a text message, a binary message, a control frame or a violation."""


class FrameError(Exception):
    """A rule of RFC 6455 or a limit is broken; the parser turns it into a `Violation`."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


_SHORT_HEADERS: Final = tuple(
    tuple(bytes((0x80 | opcode, size)) for size in range(126)) if opcode in tuple(Opcode) else ()
    for opcode in range(11)
)

_TEXT: Final = int(Opcode.TEXT)
_BINARY: Final = int(Opcode.BINARY)
_TEXT_START: Final = 0x80 | _TEXT
_MEDIUM_HEADER: Final = Struct("!BBH")
_LONG_HEADER: Final = Struct("!BBQ")

_TEXT_HEADERS: Final = (
    *_SHORT_HEADERS[_TEXT],
    *(_MEDIUM_HEADER.pack(_TEXT_START, 126, size) for size in range(126, 1_024)),
)  # of most texts that are sent, by their length: looking one up takes a tenth of packing it
_READY_HEADERS: Final = len(_TEXT_HEADERS)


def encode_frame(opcode: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """Return one final, unmasked frame: a whole message of a server (RFC 6455 section 5.2).

    `compressed` sets RSV1 for a payload made by `hubbub.core.deflate.compress_message` (RFC 7692 section 6).
    """
    size = len(payload)
    if size < 126 and not compressed:
        return _SHORT_HEADERS[opcode][size] + payload
    first = 0xC0 | opcode if compressed else 0x80 | opcode
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return _MEDIUM_HEADER.pack(first, 126, size) + payload
    return _LONG_HEADER.pack(first, 127, size) + payload


def encode_message(payload: str | bytes) -> bytes:
    """Return the one frame of a whole message. Part of the hot path."""
    return encode_text(payload) if isinstance(payload, str) else encode_frame(_BINARY, payload)


def encode_text(text: str) -> bytes:
    """Return the one frame of a text message. Part of the hot path."""
    data = text.encode()
    size = len(data)
    if size < _READY_HEADERS:
        return _TEXT_HEADERS[size] + data
    if size < 65_536:
        return _MEDIUM_HEADER.pack(_TEXT_START, 126, size) + data
    return encode_frame(_TEXT, data)


def encode_close(code: int = CloseCode.NORMAL, reason: str = "") -> bytes:
    """Return a close frame. A reason over 123 bytes is cut at a character; code 1005 gives an empty frame.

    Raises:
        ValueError: if `code` may not be sent (RFC 6455 section 7.4).
    """
    if code == CloseCode.NO_STATUS:
        return _SHORT_HEADERS[Opcode.CLOSE][0]
    if not may_be_sent(code):
        raise ValueError(f"{code} is not a close code that may be sent")
    text = reason.encode("utf-8", "replace")[:123].decode("utf-8", "ignore").encode()
    return encode_frame(Opcode.CLOSE, code.to_bytes(2, "big") + text)


def may_be_sent(code: int) -> bool:
    """Tell whether a close frame may carry `code` (RFC 6455 section 7.4 and the IANA registry)."""
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))


def parse_close(payload: bytes) -> Close:
    """Read the payload of a close frame (RFC 6455 section 5.5.1).

    Raises:
        FrameError: 1002 for a lone byte or a code that may not be sent, 1007 for a reason that is not UTF-8.
    """
    if not payload:
        return Close(CloseCode.NO_STATUS, "")
    if len(payload) == 1:
        raise FrameError(CloseCode.PROTOCOL_ERROR, "close frame too short")
    code = int.from_bytes(payload[:2], "big")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise FrameError(CloseCode.INVALID_PAYLOAD, "invalid UTF-8 in close reason") from None
    if not may_be_sent(code):
        raise FrameError(CloseCode.PROTOCOL_ERROR, "invalid close code")
    return Close(code, reason)


_MASK_BLOCK: Final = 4_096


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    """XOR `payload` with the four bytes of `mask`, repeated (RFC 6455 section 5.3).

    One XOR of two whole numbers beats every loop and `bytes.translate`; past a few KiB it is done in blocks,
    because larger numbers leave the cache.
    """
    size = len(payload)
    if size <= _MASK_BLOCK:
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
        return (int.from_bytes(payload, "little") ^ key).to_bytes(size, "little")
    key = int.from_bytes(mask * (_MASK_BLOCK // 4), "little")
    whole = size - size % _MASK_BLOCK
    blocks = [
        (int.from_bytes(payload[at : at + _MASK_BLOCK], "little") ^ key).to_bytes(_MASK_BLOCK, "little")
        for at in range(0, whole, _MASK_BLOCK)
    ]
    blocks.append(apply_mask(payload[whole:], mask))
    return b"".join(blocks)
