"""Turns what a client sends into messages: an incremental parser of masked RFC 6455 frames.

No asyncio, no clock, no socket: `FrameParser.feed` takes bytes in any chunks and returns events. Before it,
`FrameParser.take_message` is asked, which takes only whole small messages.

This file is written for speed: a small text message that arrives whole costs one call, one chain of
comparisons and one unmasking. So functions are fewer and longer here than elsewhere, and `_clean` sums up
the state.
"""

import codecs
from collections.abc import Callable
from typing import Final

from hubbub.core.errors import CloseCode
from hubbub.core.frames import Event, FrameError, Opcode, Ping, Pong, Violation, apply_mask, parse_close

MAX_FRAGMENTS: Final = 1_024
"""Most small frames that one message may be cut into; empty ones count."""

SMALL_FRAGMENT: Final = 64
"""Frames of at least so many bytes do not count: the message's size bounds them (RFC 6455 section 10.4)."""

MAX_EVENTS: Final = 64
"""Most events of one `FrameParser.feed`: a chunk of tiny frames cannot swell into objects all at once."""

_DATA_STARTS: Final = frozenset((0x00, 0x80, 0x01, 0x81, 0x02, 0x82))
_CONTROL_STARTS: Final = frozenset((0x88, 0x89, 0x8A))
_COMPRESSED_STARTS: Final = frozenset((0x41, 0xC1, 0x42, 0xC2))


class FrameParser:
    """Turns the bytes of one client into events.

    Args:
        max_size: largest message in bytes; a larger one is a 1009, judged from the frame's header.
        max_fragments: most frames under `SMALL_FRAGMENT` bytes in one message; more is a 1009.
        inflate: given when permessage-deflate was agreed: expands one message (RFC 7692 section 6.2), raising
            `FrameError` when it is broken or too large.
        unmask: XORs a payload with the four bytes of a mask; C does it many times faster than Python.
    """

    __slots__ = (
        "_buffer",
        "_clean",
        "_decoder",
        "_deflated",
        "_final",
        "_fragments",
        "_inflate",
        "_mask",
        "_max_fragments",
        "_max_size",
        "_message",
        "_opcode",
        "_remaining",
        "_unmask",
        "closed",
        "has_more",
    )

    def __init__(
        self,
        max_size: int,
        max_fragments: int = MAX_FRAGMENTS,
        inflate: Callable[[bytes], bytes] | None = None,
        unmask: Callable[[bytes, bytes], bytes] = apply_mask,
    ) -> None:
        self._max_size = max_size
        self._max_fragments = max_fragments
        self._inflate = inflate
        self._unmask = unmask
        # Nothing is buffered, no message begun, nothing closed: a whole small frame can be taken at once.
        self._clean = True
        self._buffer = b""  # the start of a frame whose header (or control payload) is not complete yet
        self._opcode = 0  # of the fragmented or partly received message; 0 between messages
        self._deflated = False  # that message has RSV1 set
        self._fragments = 0  # its small frames so far
        self._message: bytearray | None = None  # its unmasked payload so far
        self._decoder: codecs.IncrementalDecoder | None = None  # checks its UTF-8 as it comes
        self._remaining = 0  # payload bytes that the current data frame still lacks
        self._final = False  # the current data frame ends the message
        self._mask = b""  # its mask, turned to where its payload goes on
        self.closed = False  # after a close frame or a violation: whatever follows is ignored
        self.has_more = False  # bytes already taken hold further frames: call `feed(b"")` for them

    def take_message(self, data: bytes) -> str | bytes | None:
        """Take the next bytes of the stream if they are one small message in one frame, and return it.

        None if they are anything else, or nothing can be said yet: then they were not taken, and `feed` is
        for them. It is what clients send nearly always.
        """
        end = len(data)
        if self._clean and end > 5:
            first = data[0]
            size = data[1] - 0x80
            body = 6
            if size > 125:
                body = 8
                # What is odd is left to the thorough way below.
                size = data[2] << 8 | data[3] if size == 126 and (data[2] or data[3] > 125) else end
            if end - body == size and size <= self._max_size:
                if first == 0x81:
                    try:
                        return self._unmask(data[body:], data[body - 4 : body]).decode()
                    except UnicodeDecodeError:
                        pass
                elif first == 0x82:
                    return self._unmask(data[body:], data[body - 4 : body])
        return None

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the stream and return what they complete: at most `MAX_EVENTS` events.

        Bytes after a close frame or a violation are ignored.
        """
        if self.closed:
            return []
        events: list[Event] = []
        try:
            self._parse(self._buffer + data if self._buffer else data, events)
        except FrameError as error:
            self._shut()
            events.append(Violation(error.code, error.reason))
        self._clean = not (self._buffer or self._opcode or self.closed)
        return events

    def _parse(self, data: bytes, events: list[Event]) -> None:
        """Take frames from `data` until it ends or `events` is full; keep the rest in `_buffer`."""
        at = 0
        end = len(data)
        self._buffer = b""
        self.has_more = False
        while at < end:
            if self._remaining:
                at += self._take_payload(data[at : at + self._remaining], events)
                continue
            if len(events) >= MAX_EVENTS:
                self.has_more = True
                break
            header = self._read_header(data, at, end)
            if header is None:
                break
            first, length, body = header
            payload_end = body + length
            if first & 0x08:
                if payload_end > end:
                    break
                self._take_control(
                    first & 0x0F, self._unmask(data[body:payload_end], data[body - 4 : body]), events
                )
                if self.closed:
                    return
                at = payload_end
            elif payload_end <= end and (first == 0x81 or first == 0x82):
                payload = self._unmask(data[body:payload_end], data[body - 4 : body])
                events.append(_decode(payload) if first == 0x81 else payload)
                at = payload_end
            elif body > end:
                break
            else:
                self._begin_frame(first, length, data[body - 4 : body])
                at = body
                if not length:
                    self._end_frame(events)
        self._buffer = data[at:]

    def _read_header(self, data: bytes, at: int, end: int) -> tuple[int, int, int] | None:
        """Return the first byte, the payload's length and where it starts; None when more bytes are needed.

        What the bytes at hand already forbid is refused without waiting for the rest.
        """
        if end - at < 2:
            return None
        first = data[at]
        length = data[at + 1] - 0x80
        self._check_start(first, length)
        body = at + 6
        if length == 126:
            if end - at < 4:
                return None
            length = data[at + 2] << 8 | data[at + 3]
            body = at + 8
            if length < 126:
                raise FrameError(CloseCode.PROTOCOL_ERROR, "length not in its shortest form")
        elif length == 127:
            if end - at < 10:
                return None
            length = int.from_bytes(data[at + 2 : at + 10], "big")
            body = at + 14
            if length < 65_536 or length >= 1 << 63:
                raise FrameError(CloseCode.PROTOCOL_ERROR, "length not in its shortest form")
        if not first & 0x08:
            self._check_size(length)
        return first, length, body

    def _check_start(self, first: int, length: int) -> None:
        """Check the first two bytes of a frame (RFC 6455 sections 5.2, 5.4 and 5.5)."""
        if first in _CONTROL_STARTS:
            if length > 125:
                raise FrameError(CloseCode.PROTOCOL_ERROR, "control frame too long")
        elif first in _DATA_STARTS or (self._inflate is not None and first in _COMPRESSED_STARTS):
            if self._opcode and first & 0x0F:
                raise FrameError(CloseCode.PROTOCOL_ERROR, "expected a continuation frame")
            if not self._opcode and not first & 0x0F:
                raise FrameError(CloseCode.PROTOCOL_ERROR, "unexpected continuation frame")
        else:
            raise FrameError(CloseCode.PROTOCOL_ERROR, _bad_start(first))
        if length < 0:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "frame not masked")

    def _check_size(self, length: int) -> None:
        sofar = 0 if self._message is None else len(self._message)
        if sofar + length > self._max_size:
            raise FrameError(CloseCode.MESSAGE_TOO_BIG, f"over {self._max_size} bytes")
        if length < SMALL_FRAGMENT and self._fragments >= self._max_fragments:
            raise FrameError(CloseCode.MESSAGE_TOO_BIG, f"over {self._max_fragments} small fragments")

    def _begin_frame(self, first: int, length: int, mask: bytes) -> None:
        """Enter a data frame that is a fragment, compressed, or not here in full."""
        opcode = first & 0x0F
        if opcode:
            self._opcode = opcode
            self._deflated = bool(first & 0x40)
            self._message = bytearray()
            self._fragments = 0
            if opcode == Opcode.TEXT and not self._deflated:
                self._decoder = codecs.getincrementaldecoder("utf-8")()
        if length < SMALL_FRAGMENT:
            self._fragments += 1
        self._final = bool(first & 0x80)
        self._remaining = length
        self._mask = mask

    def _take_payload(self, chunk: bytes, events: list[Event]) -> int:
        """Add a piece of the current frame's payload to the message and return the piece's size."""
        size = len(chunk)
        piece = self._unmask(chunk, self._mask)
        if self._decoder is not None:
            _check_utf8(self._decoder, piece)
        assert self._message is not None
        self._message += piece
        self._remaining -= size
        if not self._remaining:
            self._end_frame(events)
        elif turn := size % 4:
            self._mask = self._mask[turn:] + self._mask[:turn]
        return size

    def _end_frame(self, events: list[Event]) -> None:
        """Close the current data frame; when it was the last of its message, the message is complete."""
        if not self._final:
            return
        assert self._message is not None
        self._decoder = None
        payload = bytes(self._message)
        if self._deflated:
            assert self._inflate is not None
            payload = self._inflate(payload)
        events.append(_decode(payload) if self._opcode == Opcode.TEXT else payload)
        self._opcode = 0
        self._fragments = 0
        self._message = None

    def _take_control(self, opcode: int, payload: bytes, events: list[Event]) -> None:
        if opcode == Opcode.PING:
            events.append(Ping(payload))
        elif opcode == Opcode.PONG:
            events.append(Pong(payload))
        else:
            events.append(parse_close(payload))
            self._shut()

    def _shut(self) -> None:
        """Let go of everything held; nothing more will be parsed."""
        self.closed = True
        self.has_more = False
        self._buffer = b""
        self._message = None
        self._decoder = None


def _decode(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise FrameError(CloseCode.INVALID_PAYLOAD, "invalid UTF-8") from None


def _check_utf8(decoder: codecs.IncrementalDecoder, piece: bytes) -> None:
    try:
        decoder.decode(piece)
    except UnicodeDecodeError:
        raise FrameError(CloseCode.INVALID_PAYLOAD, "invalid UTF-8") from None


def _bad_start(first: int) -> str:
    if first & 0x70:
        return "reserved bits set"
    if first & 0x0F in tuple(Opcode):
        return "fragmented control frame"
    return "unknown opcode"
