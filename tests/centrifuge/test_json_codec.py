"""The JSON encoding: what clients send is read or refused, what they get they understand."""

import base64
import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from centrifuge.codecs import _JsonCodec
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_cases import COMMANDS, PAYLOADS, PUBLICATIONS, REPLIES

from hubbub.centrifuge.codec import MAX_COMMANDS
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.json_text import as_json
from hubbub.centrifuge.publishers import name_publisher
from hubbub.centrifuge.requests import NOTHING
from hubbub.centrifuge.results import ClientInfo
from hubbub.core.errors import InvalidMessage
from hubbub.core.messages import MAX_JSON_DEPTH, Json, Payload, Publication, to_payload
from hubbub.core.positions import Position


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "".join(command))
def test_a_command_is_read_as_it_was_written(command: dict[str, Any]) -> None:
    (read,) = JSON_CODEC.decode_commands(_JsonCodec.encode_commands([command]))
    written = json.loads(msgspec.json.encode(read))
    assert written == {name: value for name, value in command.items() if value is not None}


def test_commands_stand_on_lines() -> None:
    frame = _JsonCodec.encode_commands(COMMANDS)
    ids = [command.get("id", 0) for command in COMMANDS]
    for text in (frame, frame + "\n", frame.replace("\n", "\r\n"), frame.encode()):
        assert [command.id for command in JSON_CODEC.decode_commands(text)] == ids


def test_unknown_fields_are_ignored() -> None:
    (command,) = JSON_CODEC.decode_commands('{"id":1,"new":{"a":[1]},"connect":{"token":"t","newer":null}}')
    assert command.connect is not None
    assert command.connect.token == "t"


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "\n",
        "{}\n\n{}",
        "{",
        "{} {}",
        "null",
        '"text"',
        "[]",
        '{"id":-1}',
        '{"id":4294967296}',
        '{"id":1.5}',
        '{"id":"1"}',
        '{"connect":[]}',
        '{"subscribe":{"channel":1}}',
        '{"subscribe":{"offset":-1}}',
        '{"subscribe":{"offset":9223372036854775808}}',
        '{"history":{"limit":2147483648}}',
        '{"id":1,"rpc":{"data":[1,}}',
        '{"id":1,"rpc":{"data":"\ud800"}}',
        b'{"id":1,"rpc":{"data":"\xff"}}',
        b"\xff",
        '{"id":1,"rpc":{"data":' + deep(63) + "}}",
        '{"id":1,"new":' + deep(10_000) + "}",
        deep(100_000),
        "[" * 100_000,
        "\n".join(["{}"] * (MAX_COMMANDS + 1)),
    ],
    ids=lambda frame: str(frame)[:40],
)
def test_a_malformed_frame_is_refused(frame: str | bytes) -> None:
    with pytest.raises(InvalidMessage):
        JSON_CODEC.decode_commands(frame)


def test_what_is_just_allowed_is_read() -> None:
    (command,) = JSON_CODEC.decode_commands('{"id":1,"rpc":{"data":' + deep(62) + "}}")
    assert command.rpc is not None
    assert len(JSON_CODEC.decode_commands("\n".join(["{}"] * MAX_COMMANDS))) == MAX_COMMANDS


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60) | st.text(alphabet='{}[]":,01\\nul \n', max_size=60))
def test_anything_is_read_or_refused(frame: str | bytes) -> None:
    with suppress(InvalidMessage):
        assert JSON_CODEC.decode_commands(frame)


def test_replies_are_what_the_sdk_reads() -> None:
    frame = JSON_CODEC.encode_replies(REPLIES).decode()
    read = _JsonCodec.decode_replies(frame)
    assert len(read) == len(REPLIES)
    assert read[0] == {}
    assert read[1] == {"id": 1, "error": {"code": 100, "message": "internal server error", "temporary": True}}
    assert read[3]["connect"]["subs"]["b"] == {}
    assert read[3]["connect"]["data"] == {"a": 1}
    assert read[5] == {"id": 5, "unsubscribe": {}}
    assert read[7]["presence"]["presence"]["c2"] == {"user": "", "client": "c2"}
    assert read[14] == {
        "push": {
            "channel": "c",
            "pub": {
                "data": {"a": 1},
                "info": {"user": "user", "client": "client", "conn_info": {"a": 1}, "chan_info": {"a": 1}},
                "offset": 2**40,
                "tags": {"k": "v", "ü": ""},
                "delta": True,
                "time": 1_790_000_000_123,
            },
        }
    }


@pytest.mark.parametrize(
    ("payload", "seen"),
    [
        (Json('{"a": [1, 2]}'), {"a": [1, 2]}),
        (Json("123"), 123),
        ("123", "123"),
        ('"text"', '"text"'),
        ('{"a": 1}', '{"a": 1}'),
        ("text", "text"),
        ("", ""),
        ("{broken", "{broken"),
        ("NaN", "NaN"),
        ('say "hi"\n', 'say "hi"\n'),
        ("ü€😀", "ü€😀"),
        ("\ud800", "?"),
        (Json('{"a":\n1,\r\n"b":"x\\ny"}'), {"a": 1, "b": "x\ny"}),
        (b'{"a":\n1}', {"a": 1}),
        (b"text", base64.b64encode(b"text").decode()),
        (b"\xff\x00", base64.b64encode(b"\xff\x00").decode()),
        (b"", ""),
        (Json(deep(64)), json.loads(deep(64))),
        (deep(65).encode(), base64.b64encode(deep(65).encode()).decode()),
        (deep(5_000), deep(5_000)),
        (to_payload({"a": "ü"}), {"a": "ü"}),
        (Json('{\n"a":1}'), {"a": 1}),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_payload_is_embedded(payload: Payload, seen: object) -> None:
    encoded = JSON_CODEC.encode_publication("c", Publication("c", payload, 0.0))
    assert b"\n" not in encoded
    assert b"\r" not in encoded
    assert json.loads(encoded) == {"push": {"channel": "c", "pub": {"data": seen}}}


@settings(max_examples=200, deadline=None)
@given(PUBLICATIONS)
def test_the_fast_path_writes_what_the_encoder_would(publication: Publication) -> None:
    fast = JSON_CODEC.encode_publication(publication.room, publication)
    slow = JSON_CODEC.encode_push(publication.room, JSON_CODEC.channel_publication(publication))
    assert json.loads(fast) == json.loads(slow)
    assert b"\n" not in fast


def test_a_publication_says_who_published_it() -> None:
    info = ClientInfo("u", "c1", msgspec.Raw(b'{"name":"Ann"}'))
    publication = Publication("r", Json("1"), 0.0, None, name_publisher(info))
    pub = json.loads(JSON_CODEC.encode_publication("r", publication))["push"]["pub"]
    assert pub == {"data": 1, "info": {"user": "u", "client": "c1", "conn_info": {"name": "Ann"}}}


def test_a_publisher_that_cannot_be_read_is_nobody() -> None:
    publication = Publication("r", Json("1"), 0.0, None, "\x00{broken")
    assert JSON_CODEC.channel_publication(publication).info is None
    assert json.loads(JSON_CODEC.encode_publication("r", publication))["push"]["pub"] == {"data": 1}


@pytest.mark.parametrize("data", ['{"a": 1}', "null", '"x"', "[1,\n2]"])
def test_what_a_client_publishes_is_json(data: str) -> None:
    (command,) = JSON_CODEC.decode_commands(json.dumps({"id": 1, "publish": {"data": json.loads(data)}}))
    assert command.publish is not None
    payload = JSON_CODEC.extract(command.publish.data)
    assert isinstance(payload, Json)
    assert json.loads(payload) == json.loads(data)


def test_nothing_is_no_payload() -> None:
    with pytest.raises(InvalidMessage):
        JSON_CODEC.extract(NOTHING)


def chain(*payloads: Payload) -> list[Publication]:
    return [
        Publication("r", payload, 0.0, Position("e", offset))
        for offset, payload in enumerate(payloads, start=1)
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(PAYLOADS | st.text(min_size=60, max_size=90).map(to_payload), min_size=1, max_size=5))
def test_the_sdk_follows_deltas(payloads: list[Payload]) -> None:
    publications = chain(*payloads)
    frames = [JSON_CODEC.encode_full("r", publications[0])]
    frames += [
        JSON_CODEC.encode_delta("r", *pair) for pair in zip(publications[1:], publications, strict=False)
    ]
    listed = JSON_CODEC.delta_publications(publications)
    previous = b""
    for frame, in_list, publication in zip(frames, listed, publications, strict=True):
        pub = json.loads(frame)["push"]["pub"]
        assert pub == json.loads(msgspec.json.encode(in_list))
        assert isinstance(pub["data"], str)
        told = type("Told", (), {"delta": pub.get("delta", False), "data": pub["data"]})
        value, previous = _JsonCodec.apply_delta_if_needed(previous, told)
        assert value == json.loads(bytes(JSON_CODEC.embed(publication.payload)))


def test_a_small_change_travels_as_a_delta() -> None:
    old, new = (Json(json.dumps({"text": "ä" * 50, "n": n})) for n in (1, 2))
    pub = json.loads(JSON_CODEC.encode_delta("r", *reversed(chain(old, new))))["push"]["pub"]
    assert pub["delta"] is True
    assert len(pub["data"]) < 40


JSON_VALUES = st.recursive(
    st.sampled_from(["[[[", '"]', "\\", "a"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=40, deadline=None)
@given(JSON_VALUES, st.integers(0, 70), st.integers(0, 70))
def test_depth_is_counted_outside_strings_only(value: object, lists: int, objects: int) -> None:
    def depth_of(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)

    text = "[" * lists + '{"k":' * objects + json.dumps(value) + "}" * objects + "]" * lists
    wide = "[" + ",".join([text, *["[]"] * 65]) + "]"
    depth = 1 + lists + objects + depth_of(value)
    assert (as_json(wide) is not None) == (depth <= MAX_JSON_DEPTH)
