"""Messages between nodes: what this version writes it reads, and nothing else."""

import msgspec
import pytest

from hubbub.core.signal_codec import VERSION, decode, encode


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    name: str
    number: int = 0


DECODER = msgspec.msgpack.Decoder(Hello)


def test_a_message_is_read_as_it_was_written() -> None:
    assert decode(encode(Hello("ada", 7)), DECODER, 100) == Hello("ada", 7)


def test_fields_that_a_newer_node_adds_are_ignored() -> None:
    data = bytes((VERSION,)) + msgspec.msgpack.encode(["hello", "ada", 7, {"new": [1]}])
    assert decode(data, DECODER, 100) == Hello("ada", 7)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes((VERSION,)),
        bytes((VERSION + 1,)) + encode(Hello("ada"))[1:],
        bytes((VERSION,)) + msgspec.msgpack.encode(["goodbye", "ada"]),
        bytes((VERSION,)) + msgspec.msgpack.encode(["hello", 7]),
        bytes((VERSION,)) + b"\x92\xa5hello\xa2\xff\xfe",  # not UTF-8
        encode(Hello("a" * 200_000)),  # too large
    ],
)
def test_what_cannot_be_read_is_no_message(data: bytes) -> None:
    assert decode(data, DECODER, 150_000) is None


def test_a_nest_too_deep_for_the_interpreter_is_no_message() -> None:
    # Python 3.14 counts the stack in bytes, and lets most of a hundred thousand pass.
    nest = bytes((VERSION,)) + b"\x94\xa5hello\xa1a\x01" + b"\x91" * 5_000_000 + b"\x01"
    assert decode(nest, DECODER, len(nest)) is None
