"""What a client sends, in any chunks, becomes messages, control frames or one violation."""

import os
import tracemalloc
from collections.abc import Iterable

import pytest

from hubbub.core.errors import CloseCode
from hubbub.core.frame_parser import MAX_EVENTS, FrameParser
from hubbub.core.frames import Close, Event, Ping, Pong, Violation, apply_mask

MASK = b"\x11\x22\x33\x44"


def client_frame(first: int, payload: bytes, mask: bytes = MASK) -> bytes:
    """One masked frame with the shortest length form."""
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 65_536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes((first,)) + length + mask + apply_mask(payload, mask)


def parse(stream: bytes, step: int | None = None, parser: FrameParser | None = None) -> list[Event]:
    """Feed `stream` in chunks of `step` bytes and return every event."""
    parser = parser or FrameParser(1_000_000)
    step = step or len(stream)
    events: list[Event] = []
    for at in range(0, len(stream), step):
        events += take(parser, stream[at : at + step])
    return events


def take(parser: FrameParser, chunk: bytes) -> list[Event]:
    """Give a chunk to the parser as the protocol class does."""
    message = parser.take_message(chunk)
    events: list[Event] = parser.feed(chunk) if message is None else [message]
    while parser.has_more:
        events += parser.feed(b"")
    return events


@pytest.mark.parametrize("message", ["", "x" * 125, "ü" * 200, b"", b"x" * 65_535])
def test_a_whole_small_message_is_taken_at_once_and_without_a_look_at_the_rest(message: str | bytes) -> None:
    first, payload = (0x81, message.encode()) if isinstance(message, str) else (0x82, message)
    frame = client_frame(first, payload)
    parser = FrameParser(100_000)
    assert [parser.take_message(frame) for _ in range(2)] == [message] * 2
    for other in (frame[:-1], frame + b"\x81", client_frame(0x01, b"a"), client_frame(0x89, b"a")):
        parser = FrameParser(100_000)
        assert parser.take_message(other) is None
    parser.feed(frame[:3])
    assert parser.take_message(frame) is None


@pytest.mark.parametrize("step", [None, 1, 2, 3, 7, 1_000])
@pytest.mark.parametrize("size", [0, 1, 5, 125, 126, 4_097, 65_535, 65_536, 200_000])
def test_a_message_of_any_size_arrives_in_any_chunks(size: int, step: int | None) -> None:
    text = "a" * size
    assert parse(client_frame(0x81, text.encode()), step) == [text]
    data = os.urandom(size)
    assert parse(client_frame(0x82, data, os.urandom(4)), step) == [data]


@pytest.mark.parametrize("step", [None, 1, 5])
def test_fragments_are_joined_and_control_frames_pass_between_them(step: int | None) -> None:
    stream = (
        client_frame(0x01, "grü".encode()[:3])
        + client_frame(0x89, b"are you there")
        + client_frame(0x00, "grü".encode()[3:])
        + client_frame(0x8A, b"")
        + client_frame(0x80, b"n")
        + client_frame(0x82, b"next")
    )
    assert parse(stream, step) == [Ping(b"are you there"), Pong(b""), "grün", b"next"]


def test_nothing_after_a_close_frame_is_read() -> None:
    stream = client_frame(0x88, b"\x03\xe8done") + client_frame(0x81, b"late")
    assert parse(stream) == [Close(1000, "done")]
    assert parse(stream, 1) == [Close(1000, "done")]


def test_a_close_frame_inside_a_fragmented_message_is_a_close() -> None:
    assert parse(client_frame(0x01, b"half") + client_frame(0x88, b"")) == [Close(1005, "")]


PROTOCOL_ERRORS: list[tuple[str, bytes]] = [
    ("reserved bit 1", client_frame(0xC1, b"x")),
    ("reserved bit 2", client_frame(0xA1, b"x")),
    ("reserved bit 3", client_frame(0x91, b"x")),
    ("reserved data opcode", client_frame(0x83, b"x")),
    ("reserved control opcode", client_frame(0x8B, b"x")),
    ("fragmented ping", client_frame(0x09, b"x")),
    ("long ping", client_frame(0x89, b"x" * 126)),
    ("unmasked", b"\x81\x01x"),
    ("unmasked empty", b"\x81\x00"),
    ("continuation of nothing", client_frame(0x80, b"x")),
    ("new message inside a message", client_frame(0x01, b"x") + client_frame(0x81, b"y")),
    ("16-bit length for 125 bytes", b"\x81\xfe\x00\x7d"),
    ("16-bit length for 5 bytes, whole", b"\x81\xfe\x00\x05" + MASK + b"xxxxx"),
    ("64-bit length for 5 bytes, whole", b"\x81\xff" + (5).to_bytes(8, "big") + MASK + b"xxxxx"),
    ("64-bit length for 119 bytes, whole", b"\x81\xff" + (119).to_bytes(8, "big") + MASK + b"x" * 119),
    ("64-bit length for 65,535 bytes", b"\x81\xff" + (65_535).to_bytes(8, "big")),
    ("64-bit length with the top bit", b"\x81\xff\x80" + bytes(7)),
    ("close of one byte", client_frame(0x88, b"\x03")),
    ("close code that may not be sent", client_frame(0x88, b"\x03\xee")),
]


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("stream", [pytest.param(stream, id=name) for name, stream in PROTOCOL_ERRORS])
def test_a_broken_rule_is_1002(stream: bytes, step: int | None) -> None:
    *before, last = parse(stream, step)
    assert before == []
    assert isinstance(last, Violation)
    assert last.code == CloseCode.PROTOCOL_ERROR


def test_messages_before_a_violation_are_delivered_and_none_after() -> None:
    stream = client_frame(0x81, b"one") + client_frame(0x83, b"") + client_frame(0x81, b"two")
    for step in (None, 1):
        first, last = parse(stream, step)
        assert first == "one"
        assert isinstance(last, Violation)


@pytest.mark.parametrize(
    "stream",
    [
        client_frame(0x81, b"\xff"),
        client_frame(0x01, b"ok") + client_frame(0x80, b"\xc3"),
        client_frame(0x01, b"ok\xff"),
        client_frame(0x81, b"ok\xff" + b"x" * 1_000)[:100],
        client_frame(0x88, b"\x03\xe8\xff"),
    ],
    ids=["whole", "cut off at the end", "first fragment", "start of a frame", "close reason"],
)
@pytest.mark.parametrize("step", [None, 1])
def test_bad_utf8_is_1007_as_soon_as_it_is_seen(stream: bytes, step: int | None) -> None:
    assert [event.code for event in parse(stream, step) if isinstance(event, Violation)] == [1007]


def test_a_large_message_is_refused_from_its_header() -> None:
    header = client_frame(0x82, b"x" * 1_001)[:4]
    assert parse(header, parser=FrameParser(1_000)) == [
        Violation(CloseCode.MESSAGE_TOO_BIG, "over 1000 bytes")
    ]
    assert parse(client_frame(0x82, b"x" * 1_000), parser=FrameParser(1_000)) == [b"x" * 1_000]


def test_fragments_count_together_against_the_size() -> None:
    stream = client_frame(0x02, b"x" * 600) + client_frame(0x80, b"x" * 401)[:4]
    assert parse(stream, parser=FrameParser(1_000)) == [
        Violation(CloseCode.MESSAGE_TOO_BIG, "over 1000 bytes")
    ]


@pytest.mark.parametrize("payload", [b"", b"x", b"x" * 63])
def test_too_many_small_fragments_are_1009(payload: bytes) -> None:
    stream = client_frame(0x02, payload) + client_frame(0x00, payload) * 2
    within = parse(stream + client_frame(0x80, payload), parser=FrameParser(1_000, max_fragments=4))
    assert within == [payload * 4]
    over = parse(stream + client_frame(0x00, payload) * 2, parser=FrameParser(1_000, max_fragments=4))
    assert over == [Violation(CloseCode.MESSAGE_TOO_BIG, "over 4 small fragments")]


def test_fragments_that_are_not_small_are_bounded_by_the_size_alone() -> None:
    stream = (
        client_frame(0x02, b"x" * 64) + client_frame(0x00, b"x" * 64) * 13 + client_frame(0x80, b"x" * 64)
    )
    assert parse(stream, parser=FrameParser(1_000, max_fragments=4)) == [b"x" * 64 * 15]


def test_the_fragment_count_starts_again_with_each_message() -> None:
    message = client_frame(0x01, b"a") + client_frame(0x80, b"b")
    assert parse(message * 10, parser=FrameParser(1_000, max_fragments=2)) == ["ab"] * 10


def test_a_chunk_of_many_messages_is_returned_in_portions() -> None:
    parser = FrameParser(1_000)
    stream = client_frame(0x81, b"x") * (2 * MAX_EVENTS + 1)
    assert parser.feed(stream) == ["x"] * MAX_EVENTS
    assert parser.has_more
    assert parser.feed(b"") == ["x"] * MAX_EVENTS
    assert parser.feed(b"") == ["x"]
    assert not parser.has_more
    assert parser.feed(b"") == []


def test_memory_follows_what_arrived_and_not_what_was_announced() -> None:
    header = b"\x82\xff" + (1 << 30).to_bytes(8, "big") + MASK
    parser = FrameParser(1 << 31)
    tracemalloc.start()
    try:
        parse(header + b"x" * 100, 1, parser)
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


def test_the_work_for_a_message_in_many_chunks_is_linear() -> None:
    """Counted in bytes copied, not in time: four times the message may not cost much over four times."""
    small, large = (_copied_bytes(size) for size in (50_000, 200_000))
    assert large < 5 * small


def _copied_bytes(size: int) -> int:
    """Return how many bytes were sliced or joined while a message of `size` came in chunks of 50 bytes."""

    class CountingBytes(bytes):
        copied = 0

        def __getitem__(self, key):  # type: ignore[no-untyped-def]
            part = super().__getitem__(key)
            if isinstance(part, bytes):
                CountingBytes.copied += len(part)
            return part

        def __radd__(self, other: bytes) -> bytes:
            CountingBytes.copied += len(other) + len(self)
            return other + bytes(self)

    stream = client_frame(0x82, bytes(size))
    parser = FrameParser(1_000_000)
    events: list[Event] = []
    for at in range(0, len(stream), 50):
        events += parser.feed(CountingBytes(stream[at : at + 50]))
    assert events == [bytes(size)]
    return CountingBytes.copied


def test_reserved_bit_1_is_allowed_only_with_inflate() -> None:
    def inflate(payload: bytes) -> bytes:
        return payload.upper()

    def parser() -> FrameParser:
        return FrameParser(1_000, inflate=inflate)

    def run(frames: Iterable[bytes]) -> list[Event]:
        return parse(b"".join(frames), 1, parser())

    assert run([client_frame(0xC1, b"loud"), client_frame(0x81, b"plain")]) == ["LOUD", "plain"]
    assert run([client_frame(0x42, b"lo"), client_frame(0x80, b"ud")]) == [b"LOUD"]
    for first in (0xC9, 0x40):
        *_, last = run([client_frame(0x01, b"x"), client_frame(first, b"x")])
        assert isinstance(last, Violation)
        assert last.code == CloseCode.PROTOCOL_ERROR
