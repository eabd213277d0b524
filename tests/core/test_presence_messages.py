"""What is said about members has bounds, here and when it comes from another node."""

from types import MappingProxyType

import msgspec
import pytest

from hubbub.core.errors import ConfigurationError
from hubbub.core.presence_messages import (
    MAX_BYTES,
    MAX_CHUNK,
    MAX_CHUNK_BYTES,
    MAX_INFO_BYTES,
    Ask,
    Delta,
    Member,
    Snapshot,
    Sync,
    chunks,
    make_member,
    read,
    read_ask,
)
from hubbub.core.signal_codec import encode


def test_a_member_keeps_its_info_as_json() -> None:
    member = make_member("c", "ada", {"color": "grün"})
    assert member == Member("c", "ada", '{"color":"grün"}'.encode())
    assert member.info == {"color": "grün"}
    assert make_member("c").info is None
    assert make_member("c", info=MappingProxyType({"a": 1})).info == {"a": 1}


def test_a_user_and_a_connection_of_the_same_name_are_two() -> None:
    assert make_member("ada").key != make_member("c", "ada").key
    assert make_member("c", "").key != make_member("c").key


def test_an_info_of_exactly_the_limit_is_taken() -> None:
    text = "x" * (MAX_INFO_BYTES - 2)
    assert make_member("c", info=text).info == text


@pytest.mark.parametrize(
    ("client", "user", "info"),
    [
        ("c" * 256, None, None),
        ("", None, None),
        ("c", "u" * 256, None),
        ("\ud800", None, None),
        ("c", "\ud800", None),
        ("c", None, "x" * (MAX_INFO_BYTES - 1)),
        ("c", None, "ä" * 512),
        ("c", None, object()),
        ("c", None, {"a": "\ud800"}),
    ],
)
def test_what_cannot_be_announced_is_refused_by_name(client: str, user: str | None, info: object) -> None:
    with pytest.raises(ConfigurationError, match="cannot be announced"):
        make_member(client, user, info)


@pytest.mark.parametrize(
    "message",
    [
        Delta("n", 3, [make_member("c", "ada", {"a": 1})], ["d"]),
        Snapshot("n", 4, 0, True, [make_member("c")]),
        Sync("n"),
    ],
)
def test_messages_are_read_as_they_were_written(message: Delta | Snapshot | Sync) -> None:
    assert read(encode(message)) == message


def raw(*message: object) -> bytes:
    return b"\x01" + msgspec.msgpack.encode(message)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        raw("wave", "n"),
        raw("sync", ""),
        raw("delta", "n", -1, [], []),
        raw("delta", "n", 1, [["c", None, b"{"]], []),
        raw("delta", "n", 1, [["c", None, b"\xff"]], []),
        raw("delta", "n", 1, [["c", None, b"[" * 600 + b"]" * 400]], []),
        raw("delta", "n", 1, [["c", None, b"[" * 100 + b"]" * 100]], []),
        raw("delta", "n", 1, [["c", None, b'"' + b"x" * MAX_INFO_BYTES + b'"']], []),
        raw("delta", "n", 1, [["c", "u" * 256]], []),
        raw("delta", "n", 1, [[f"c{number}"] for number in range(MAX_CHUNK + 1)], []),
        raw("delta", "n", 1, [], ["c"] * (MAX_CHUNK + 1)),
        raw("snapshot", "n", 1, 0, True, [[f"c{number}"] for number in range(MAX_CHUNK + 1)]),
        raw("sync", "n", bytes(MAX_BYTES)),
    ],
)
def test_messages_out_of_bounds_are_none(data: bytes) -> None:
    assert read(data) is None


def test_an_ask_names_a_room_that_there_can_be() -> None:
    assert read_ask(encode(Ask("chat:a/b", ["n"]))) == Ask("chat:a/b", ["n"])
    for room in ("", "#nodes", "a b", "a\n", "a" * 298):
        assert read_ask(encode(Ask(room, ["n"]))) is None
    assert read_ask(encode(Ask("r", ["n"] * 1_001))) is None


def test_many_members_are_said_in_several_messages() -> None:
    members = [make_member(f"c{number}") for number in range(2 * MAX_CHUNK + 1)]
    parts = list(chunks(members))
    assert [len(part) for part in parts] == [MAX_CHUNK, MAX_CHUNK, 1]
    assert [member for part in parts for member in part] == members
    assert list(chunks([])) == []


def test_large_members_are_said_in_messages_that_a_broker_takes() -> None:
    large = [make_member(f"{n}".ljust(255, "é"), "ü" * 255, "x" * 1_000) for n in range(MAX_CHUNK)]
    parts = list(chunks(large))
    assert [member for part in parts for member in part] == large
    for part in parts:
        data = encode(Snapshot("n", 1, 0, True, part))
        assert len(data) <= MAX_CHUNK_BYTES
        assert read(data) == Snapshot("n", 1, 0, True, part)
