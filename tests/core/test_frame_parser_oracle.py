"""The parser against the `websockets` library: the same bytes give the same messages and the same close code.

Differences that are meant:

* `websockets` answers a close frame inside a fragmented message with 1002; RFC 6455 section 5.4 allows
  control frames there, so it is a normal close here (Autobahn case 7.1.5).
* `websockets` takes lengths that are not in their shortest form; RFC 6455 section 5.2 forbids them (1002).
* `websockets` counts a control frame's payload to the message that it comes between; it is none of it here.
* A frame that breaks two rules may be refused for either: here a bad first byte comes before a large length.
* A frame is refused here from its first bytes; `websockets` waits for all of it (padding shows it agrees).
"""

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame
from websockets.frames import Opcode as LibraryOpcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from hubbub.core.frame_parser import FrameParser
from hubbub.core.frames import Close, Ping, Pong, Violation, apply_mask

MAX_SIZE = 1_000
PADDING = bytes(MAX_SIZE + 200)
LENGTHS_THAT_THE_LIBRARY_TAKES = ("length not in its shortest form", "control frame too long")
"""A control frame whose length is written in the long form is refused here before the length is there."""

Message = str | bytes | tuple[str, bytes]


@dataclass
class Outcome:
    """What one side made of a stream."""

    messages: list[Message] = field(default_factory=list)
    code: int | None = None  # of a close frame or of a violation
    failed: bool = False  # it was a violation
    reason: str = ""
    too_big: int | None = None  # the size of a frame that was refused for it


def ours(chunks: Iterable[bytes]) -> Outcome:
    parser = FrameParser(MAX_SIZE)
    outcome = Outcome()
    for chunk in chunks:
        message = parser.take_message(chunk)
        events = parser.feed(chunk) if message is None else [message]
        while parser.has_more:
            events += parser.feed(b"")
        for event in events:
            match event:
                case Ping(payload):
                    outcome.messages.append(("ping", payload))
                case Pong(payload):
                    outcome.messages.append(("pong", payload))
                case Close(code, reason) | Violation(code, reason):
                    outcome.code, outcome.reason = int(code), reason
                    outcome.failed = isinstance(event, Violation)
                case str() | bytes():
                    outcome.messages.append(event)
    return outcome


class Library:
    """`ServerProtocol`, with the joining and decoding of messages that its connections do above it."""

    def __init__(self) -> None:
        self.protocol = ServerProtocol(state=State.OPEN, max_size=MAX_SIZE)
        self.outcome = Outcome()
        self.kind = LibraryOpcode.BINARY
        self.parts: list[bytes] = []
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def feed(self, data: bytes) -> None:
        if self.outcome.code is not None:
            return
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            assert isinstance(event, Frame)
            if self.outcome.code is None:
                self.take(event)
        self.protocol.data_to_send()
        if self.outcome.code is None and self.protocol.parser_exc is not None:
            assert self.protocol.close_sent is not None
            self.outcome.failed = True
            self.outcome.code = self.protocol.close_sent.code
            self.outcome.reason = str(self.protocol.parser_exc)
            if isinstance(self.protocol.parser_exc, PayloadTooBig):
                self.outcome.too_big = self.protocol.parser_exc.size

    def take(self, frame: Frame) -> None:
        data = bytes(frame.data)
        if frame.opcode in (LibraryOpcode.PING, LibraryOpcode.PONG):
            self.outcome.messages.append((frame.opcode.name.lower(), data))
        elif frame.opcode in (LibraryOpcode.TEXT, LibraryOpcode.BINARY, LibraryOpcode.CONT):
            self.take_data(frame, data)
        else:
            assert self.protocol.close_rcvd is not None
            self.outcome.code = self.protocol.close_rcvd.code

    def take_data(self, frame: Frame, data: bytes) -> None:
        if frame.opcode is not LibraryOpcode.CONT:
            self.kind, self.parts = frame.opcode, []
            self.decoder.reset()
        if self.kind is LibraryOpcode.TEXT:
            try:
                self.decoder.decode(data, frame.fin)
            except UnicodeDecodeError:
                self.outcome.code, self.outcome.failed = 1007, True
                return
        self.parts.append(data)
        if frame.fin:
            whole = b"".join(self.parts)
            self.outcome.messages.append(whole.decode() if self.kind is LibraryOpcode.TEXT else whole)


def theirs(chunks: Iterable[bytes]) -> Library:
    library = Library()
    for chunk in chunks:
        library.feed(chunk)
    return library


def refused_a_control_frame(library: Outcome, mine: Outcome) -> bool:
    """Whether the frame that was too big for the library is a control frame to the parser here."""
    if library.too_big is None or library.too_big > 125:
        return False
    if len(mine.messages) == len(library.messages):
        return mine.code not in (None, 1009)
    further = mine.messages[len(library.messages)]
    return isinstance(further, tuple) and len(further[1]) == library.too_big


def assert_agreement(chunks: Sequence[bytes]) -> None:
    mine = ours(chunks)
    library = theirs(chunks)
    if mine.failed and library.outcome.code is None:
        library.feed(PADDING)
    other = library.outcome
    if mine.reason in LENGTHS_THAT_THE_LIBRARY_TAKES:
        assert mine.code == 1002
        assert other.messages[: len(mine.messages)] == mine.messages
        return
    if refused_a_control_frame(other, mine):
        assert mine.messages[: len(other.messages)] == other.messages
        return
    assert mine.messages == other.messages
    if not mine.failed and other.reason == "incomplete fragmented message":
        assert mine.code is not None
    elif mine.failed and mine.code == 1002 and other.code == 1009:
        assert other.failed
    else:
        assert (mine.code, mine.failed) == (other.code, other.failed)


masks = st.binary(min_size=4, max_size=4)
texts = st.text(max_size=60).map(str.encode)
payloads = st.one_of(
    texts,
    st.binary(max_size=140),
    st.integers(120, 130).map(lambda size: b"x" * size),
    st.integers(900, 1_100).map(lambda size: b"y" * size),
    st.sampled_from(
        [b"\x03\xe8", b"\x03\xe8bye", b"\x03\xed", b"\x13\x88", b"\x0b\xb8\xff", "é".encode()[:1]]
    ),
)
starts = st.one_of(
    st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A]),
    st.sampled_from([0x81, 0x01, 0x00, 0x80, 0x88, 0x09, 0xC1, 0x83, 0x8B]),
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    payload, mask = draw(payloads), draw(masks)
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((draw(starts),)) + length + mask + apply_mask(payload, mask)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A whole message, perhaps in fragments with a ping between them."""
    text, mask = draw(texts) + b"z" * draw(st.sampled_from([0, 0, 500, 1_200])), draw(masks)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    stream = b""
    for number, part in enumerate(parts):
        first = (0 if number else 1) | (0x80 if number == len(parts) - 1 else 0)
        length = bytes((0x80 | len(part),)) if len(part) < 126 else b"\xfe" + len(part).to_bytes(2, "big")
        stream += bytes((first,)) + length + mask + apply_mask(part, mask)
        if draw(st.booleans()):
            stream += b"\x89\x80" + mask
    return stream


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Mostly valid frames with a few bytes changed, lost or doubled."""
    stream = bytearray(b"".join(draw(st.lists(st.one_of(messages(), frames()), min_size=1, max_size=6))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(stream) - 1))
        kind = draw(st.sampled_from(["flip", "lose", "double"]))
        if kind == "flip":
            stream[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "lose" and len(stream) > 1:
            del stream[at]
        else:
            stream.insert(at, stream[at])
    return bytes(stream)


@st.composite
def chunked(draw: st.DrawFn, streams: st.SearchStrategy[bytes]) -> list[bytes]:
    stream = draw(streams)
    if draw(st.booleans()):
        step = draw(st.integers(1, 9))
        return [stream[at : at + step] for at in range(0, len(stream), step)]
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@settings(max_examples=400, deadline=None)
@given(chunked(st.lists(st.one_of(messages(), frames()), max_size=8).map(b"".join)))
def test_frame_streams_are_read_as_the_library_reads_them(chunks: list[bytes]) -> None:
    assert_agreement(chunks)


@settings(max_examples=400, deadline=None)
@given(chunked(mutated()))
def test_damaged_frame_streams_are_read_as_the_library_reads_them(chunks: list[bytes]) -> None:
    assert_agreement(chunks)


@settings(max_examples=300, deadline=None)
@given(chunked(st.binary(max_size=300)))
def test_arbitrary_bytes_are_read_as_the_library_reads_them(chunks: list[bytes]) -> None:
    assert_agreement(chunks)


def test_a_ping_does_not_count_to_the_message_that_it_comes_between() -> None:
    begun = b"\x01\xfe" + MAX_SIZE.to_bytes(2, "big") + bytes(4) + b"y" * MAX_SIZE
    stream = begun + b"\x89\xfd" + bytes(4) + b"p" * 125 + b"\x80\x80" + bytes(4)
    assert ours([stream]).messages == [("ping", b"p" * 125), "y" * MAX_SIZE]
    assert (theirs([stream]).outcome.code, theirs([stream]).outcome.too_big) == (1009, 125)
    assert_agreement([stream])


@settings(max_examples=200, deadline=None)
@given(chunked(mutated()))
def test_the_chunking_does_not_matter(chunks: list[bytes]) -> None:
    whole, split = ours([b"".join(chunks)]), ours(chunks)
    assert (whole.messages, whole.code, whole.failed) == (split.messages, split.code, split.failed)
