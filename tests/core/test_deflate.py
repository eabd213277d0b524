"""permessage-deflate: what is agreed, and one message at a time in and out."""

import os
import zlib

import pytest

from hubbub.core.deflate import (
    MIN_COMPRESSED_SIZE,
    accept_offer,
    compress_message,
    encode_compressed_frame,
    inflate_message,
)
from hubbub.core.errors import CloseCode
from hubbub.core.frames import FrameError, Opcode

PLAIN = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    ("offer", "bits", "response"),
    [
        ("permessage-deflate", 12, PLAIN),
        ("permessage-deflate; client_max_window_bits", 12, PLAIN),
        ('permessage-deflate; client_max_window_bits="10"', 12, PLAIN),
        ("permessage-deflate; server_no_context_takeover", 12, PLAIN),
        ("permessage-deflate; server_max_window_bits=9", 9, PLAIN + "; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=15", 12, PLAIN + "; server_max_window_bits=12"),
        ("x-other, permessage-deflate; bogus, permessage-deflate", 12, PLAIN),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", 12, PLAIN),
    ],
)
def test_the_first_acceptable_offer_is_taken(offer: str, bits: int, response: str) -> None:
    terms = accept_offer([offer])
    assert terms is not None
    assert (terms.window_bits, terms.response, terms.shared) == (bits, response, bits == 12)


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate; bogus",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=²",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=099",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    ],
)
def test_an_offer_that_cannot_be_met_is_declined(offer: str) -> None:
    assert accept_offer([offer]) is None


@pytest.mark.parametrize("payload", [b"", b"a", b"hello " * 1_000, os.urandom(5_000)])
@pytest.mark.parametrize("bits", [9, 12])
def test_a_compressed_message_expands_to_itself(payload: bytes, bits: int) -> None:
    assert inflate_message(compress_message(payload, bits), len(payload)) == payload


def test_a_message_is_readable_by_a_client_with_the_agreed_window() -> None:
    payload = os.urandom(600) * 3
    inflater = zlib.decompressobj(wbits=-9)
    assert inflater.decompress(compress_message(payload, 9) + b"\x00\x00\xff\xff") == payload


def test_a_message_ended_by_a_final_block_is_read() -> None:
    compressor = zlib.compressobj(wbits=-15)
    assert inflate_message(compressor.compress(b"end") + compressor.flush() + b"\x00", 100) == b"end"


def test_a_bomb_is_refused_at_the_limit() -> None:
    bomb = compress_message(bytes(50_000_000), 12)
    with pytest.raises(FrameError) as caught:
        inflate_message(bomb, 65_536)
    assert caught.value.code == CloseCode.MESSAGE_TOO_BIG
    assert inflate_message(compress_message(bytes(65_536)), 65_536) == bytes(65_536)


def test_data_that_is_not_deflate_is_refused() -> None:
    with pytest.raises(FrameError) as caught:
        inflate_message(b"\xff" * 10, 1_000)
    assert caught.value.code == CloseCode.PROTOCOL_ERROR


def test_a_frame_is_compressed_only_where_it_gets_shorter() -> None:
    large = encode_compressed_frame(Opcode.TEXT, b"hello " * 100)
    assert large[0] == 0xC1
    assert len(large) < 100
    noise = os.urandom(500)
    assert encode_compressed_frame(Opcode.BINARY, noise)[4:] == noise
    small = b"a" * (MIN_COMPRESSED_SIZE - 1)
    assert encode_compressed_frame(Opcode.TEXT, small)[2:] == small
