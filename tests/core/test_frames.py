"""Frames as a server writes them, and close payloads as it reads them."""

import os

import pytest

from hubbub.core.errors import CloseCode
from hubbub.core.frames import (
    Close,
    FrameError,
    Opcode,
    apply_mask,
    encode_close,
    encode_frame,
    encode_message,
    encode_text,
    may_be_sent,
    parse_close,
)


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65_535, b"\x82\x7e\xff\xff"),
        (65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_frame_uses_the_shortest_length_form(size: int, header: bytes) -> None:
    payload = b"x" * size
    assert encode_frame(Opcode.BINARY, payload) == header + payload


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 1_023, 1_024, 1_025, 65_535, 65_536])
def test_a_message_is_one_frame_whether_its_header_is_ready_or_not(size: int) -> None:
    payload = b"x" * size
    text = encode_frame(Opcode.TEXT, payload)
    assert encode_text(payload.decode()) == encode_message(payload.decode()) == text
    assert encode_message(payload) == encode_frame(Opcode.BINARY, payload)


def test_a_text_is_as_long_as_its_bytes_are() -> None:
    assert encode_text("\u00e9" * 63) == encode_frame(Opcode.TEXT, b"\xc3\xa9" * 63)


@pytest.mark.parametrize("opcode", list(Opcode))
def test_the_opcode_is_in_the_first_byte_and_the_frame_is_final(opcode: Opcode) -> None:
    assert encode_frame(opcode, b"abc") == bytes((0x80 | opcode, 3)) + b"abc"


@pytest.mark.parametrize("size", [3, 300, 70_000])
def test_a_compressed_frame_has_the_first_reserved_bit(size: int) -> None:
    frame = encode_frame(Opcode.TEXT, b"x" * size, compressed=True)
    assert frame[0] == 0xC1
    assert frame[1:] == encode_frame(Opcode.TEXT, b"x" * size)[1:]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 4_095, 4_096, 4_097, 8_192, 100_001])
def test_masking_is_a_repeated_xor(size: int) -> None:
    payload, mask = os.urandom(size), os.urandom(4)
    assert apply_mask(payload, mask) == bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def test_a_close_frame_carries_code_and_reason() -> None:
    assert encode_close(1001, "bye") == b"\x88\x05\x03\xe9bye"


def test_a_close_frame_without_a_code_is_empty() -> None:
    assert encode_close(CloseCode.NO_STATUS) == b"\x88\x00"


def test_a_long_reason_is_cut_at_a_character() -> None:
    frame = encode_close(1000, "é" * 100)
    assert len(frame) == 2 + 2 + 122
    assert frame[4:].decode() == "é" * 61


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000])
def test_a_close_code_that_may_not_be_sent_is_refused(code: int) -> None:
    assert not may_be_sent(code)
    with pytest.raises(ValueError, match=str(code)):
        encode_close(code)


@pytest.mark.parametrize(
    ("payload", "close"),
    [
        (b"", Close(1005, "")),
        (b"\x03\xe8", Close(1000, "")),
        (b"\x0f\xa0caf\xc3\xa9", Close(4000, "café")),
    ],
)
def test_a_close_payload_is_read(payload: bytes, close: Close) -> None:
    assert parse_close(payload) == close


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", CloseCode.PROTOCOL_ERROR),
        (b"\x03\xed", CloseCode.PROTOCOL_ERROR),
        (b"\x03\xe8\xff", CloseCode.INVALID_PAYLOAD),
    ],
)
def test_a_bad_close_payload_is_refused(payload: bytes, code: CloseCode) -> None:
    with pytest.raises(FrameError) as caught:
        parse_close(payload)
    assert caught.value.code == code
