"""The protobuf encoding against the messages that the official SDK was generated from."""

import base64
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import centrifuge.protocol.client_pb2 as official
import msgspec
import pytest
from centrifuge.codecs import _ProtobufCodec
from google.protobuf.json_format import MessageToDict
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wire_cases import COMMANDS, PUBLICATIONS, REPLIES, plain

from hubbub import centrifuge
from hubbub.centrifuge.codec import MAX_COMMANDS
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.protobuf_codec import PROTOBUF_CODEC
from hubbub.centrifuge.protobuf_tables import REQUESTS, RESULTS
from hubbub.centrifuge.protobuf_wire import Field, Kind, varint
from hubbub.centrifuge.requests import NOTHING
from hubbub.core.errors import InvalidMessage
from hubbub.core.messages import Json, Payload, Publication

OFFICIAL_NAMES = {
    "RpcRequest": "RPCRequest",
    "RpcResult": "RPCResult",
    "ClientError": "Error",
    "ChannelPublication": "Publication",
}


NEWER = {("SubscribeRequest", 15), ("PublishRequest", 3), ("SubRefreshRequest", 3)}
"""Fields of the public definition that this SDK was made without: `type`, an int32 in all three."""


def official_message(name: str) -> Any:
    return getattr(official, OFFICIAL_NAMES.get(name, name.removesuffix("Push") or name))


def bytes_for(command: dict[str, Any]) -> dict[str, Any]:
    """The command as a protobuf client has it: payloads are bytes."""
    return json.loads(json.dumps(command), object_hook=_with_bytes)  # type: ignore[no-any-return]


def _with_bytes(fields: dict[str, Any]) -> dict[str, Any]:
    if "data" not in fields:
        return fields
    return fields | {"data": base64.b64encode(json.dumps(fields["data"]).encode()).decode()}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "".join(command))
def test_a_command_of_the_sdk_is_read_as_in_json(command: dict[str, Any]) -> None:
    (read,) = PROTOBUF_CODEC.decode_commands(_ProtobufCodec.encode_commands([bytes_for(command)]))
    (same,) = JSON_CODEC.decode_commands(json.dumps(command))
    assert plain(read) == plain(same)


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: str(reply.id) if reply.id else "push")
def test_a_reply_is_what_the_sdk_reads(reply: Any) -> None:
    encoded = PROTOBUF_CODEC.encode_reply(reply)
    (read,) = _ProtobufCodec.decode_replies(encoded)
    message = official.Reply.FromString(encoded[1 if encoded[0] < 128 else 2 :])
    assert MessageToDict(message, preserving_proto_field_name=True) == read
    assert as_official(reply) == message


def as_official(struct: msgspec.Struct) -> Any:
    """The same, put together with the official classes."""
    message = official_message(type(struct).__name__)()
    if not struct.__struct_fields__:
        message.SetInParent()
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        field = getattr(message, name)
        if isinstance(value, msgspec.Struct):
            field.SetInParent()
            field.CopyFrom(as_official(value))
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, str):
                    field[key] = item
                else:
                    field[key].CopyFrom(as_official(item))
        elif isinstance(value, list | tuple):
            field.extend(map(as_official, value))
        elif value is not None:
            setattr(message, name, bytes(value) if isinstance(value, msgspec.Raw) else value)
    return message


def test_the_newer_fields_are_read() -> None:
    frame = b"\x06\x08\x01\x2a\x02\x78\x02" + b"\x0f\x08\x02\x3a\x0b\x18" + b"\xff" * 9 + b"\x01"
    subscribe, publish = PROTOBUF_CODEC.decode_commands(frame)
    assert subscribe.subscribe is not None
    assert subscribe.subscribe.type == 2
    assert publish.publish is not None
    assert publish.publish.type == -1


def test_frames_hold_several_messages() -> None:
    frame = _ProtobufCodec.encode_commands([bytes_for(command) for command in COMMANDS])
    assert [command.id for command in PROTOBUF_CODEC.decode_commands(frame)] == [
        command.get("id", 0) for command in COMMANDS
    ]
    assert len(_ProtobufCodec.decode_replies(PROTOBUF_CODEC.encode_replies(REPLIES))) == len(REPLIES)


@pytest.mark.parametrize("struct", [*REQUESTS, *RESULTS], ids=lambda struct: struct.__name__)
def test_the_tables_have_the_official_numbers_and_types(struct: type[msgspec.Struct]) -> None:
    table = (REQUESTS | RESULTS)[struct]
    descriptor = official_message(struct.__name__).DESCRIPTOR
    kinds = {5: Kind.INT32, 3: Kind.INT64, 13: Kind.UINT32, 4: Kind.UINT64, 8: Kind.BOOL, 9: Kind.STRING}
    kinds |= {12: Kind.BYTES, 11: Kind.MESSAGE}
    for number, field in table.items():
        if (struct.__name__, number) in NEWER:
            assert field == Field("type", Kind.INT32)
            continue
        other = descriptor.fields_by_number[number]
        assert other.name == field.name
        if other.message_type is not None and other.message_type.GetOptions().map_entry:
            assert field.kind in {Kind.STRING_MAP, Kind.MESSAGE_MAP}
        else:
            assert kinds[other.type] is field.kind
            assert field.repeated == other.is_repeated
    assert {field.name for field in table.values()} == set(struct.__struct_fields__)


def schema() -> dict[str, dict[int, tuple[str, str]]]:
    """The messages of `client.proto`: number -> type and name of each field."""
    folder = Path(centrifuge.__path__[0])
    text = re.sub(r"//.*", "", (folder / "client.proto").read_text())
    found = {}
    for name, body in re.findall(r"message (\w+) \{(.*?)\}", text, re.DOTALL):
        fields = re.findall(r"(repeated \w+|map<\w+, \w+>|\w+) (\w+) = (\d+);", body)
        found[name] = {int(number): (kind, field) for kind, field, number in fields}
    return found


def in_schema(field: Field) -> tuple[str, str]:
    name = field.message.__name__ if field.message else field.kind.value
    if field.kind is Kind.MESSAGE_MAP:
        name = f"map<string, {name}>"
    return ("repeated " if field.repeated else "") + name, field.name


def test_the_schema_file_says_what_the_tables_say() -> None:
    tables = {
        struct.__name__: {number: in_schema(field) for number, field in fields.items()}
        for struct, fields in (REQUESTS | RESULTS).items()
    }
    assert schema() == tables


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        "text",
        b"\x80",
        b"\x05\x08\x01",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x02\x08\x80",
        b"\x02\x07\x00",
        b"\x02\x00\x01",
        b"\x02\x0b\x0c",
        b"\x03\x22\x05\x0a",
        b"\x05\x22\x03\x0a\x01\xff",
        b"\x03\x79\x00\x00",
        b"\x0d\x2a\x0b\x38" + b"\xff" * 9 + b"\x01",  # an offset of 2**64 - 1
        b"\x0d\x2a\x0b\x38" + b"\x80" * 9 + b"\x01",  # of 2**63
        b"\x00" * (MAX_COMMANDS + 1),
    ],
    ids=repr,
)
def test_a_malformed_frame_is_refused(frame: bytes | str) -> None:
    with pytest.raises(InvalidMessage):
        PROTOBUF_CODEC.decode_commands(frame)


def test_filters_nested_without_end_are_refused() -> None:
    node = b""
    for _ in range(70):
        node = b"\x32" + varint(len(node)) + node
    request = b"\x6a" + varint(len(node)) + node
    command = b"\x2a" + varint(len(request)) + request
    with pytest.raises(InvalidMessage):
        PROTOBUF_CODEC.decode_commands(varint(len(command)) + command)


def test_unknown_fields_are_skipped() -> None:
    command = (
        b"\x08\x05" + b"\xf8\x07\x01" + b"\xf9\x07" + b"8" * 8 + b"\xfd\x07" + b"4" * 4 + b"\xfa\x07\x01x"
    )
    command += b"\x0a\x01x"  # an id that is no number
    (read,) = PROTOBUF_CODEC.decode_commands(varint(len(command)) + command)
    assert plain(read) == plain(JSON_CODEC.decode_commands('{"id": 5}')[0])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_anything_is_read_or_refused(data: bytes) -> None:
    for frame in (data, varint(len(data)) + data):
        with suppress(InvalidMessage):
            assert PROTOBUF_CODEC.decode_commands(frame)


@settings(max_examples=200, deadline=None)
@example(b"\x80\x80\x80\x80\x81\x00\x00")
@given(st.binary(max_size=60))
def test_what_is_read_is_what_the_official_parser_reads(data: bytes) -> None:
    frame = varint(len(data)) + data
    try:
        (read,) = PROTOBUF_CODEC.decode_commands(frame)
    except InvalidMessage:
        return
    message = official.Command.FromString(data)
    assert read.id == message.id
    assert (read.connect is not None) == message.HasField("connect")


@settings(max_examples=200, deadline=None)
@given(PUBLICATIONS)
def test_the_fast_path_writes_what_the_encoder_would(publication: Publication) -> None:
    fast = PROTOBUF_CODEC.encode_publication(publication.room, publication)
    slow = PROTOBUF_CODEC.encode_push(publication.room, PROTOBUF_CODEC.channel_publication(publication))
    assert _ProtobufCodec.decode_replies(fast) == _ProtobufCodec.decode_replies(slow)


@pytest.mark.parametrize(
    ("sent", "payload"),
    [
        (b'{"a": 1}', Json('{"a": 1}')),
        (b"12", Json("12")),
        (b"text", b"text"),
        (b"\xff", b"\xff"),
        (b"", b""),
        (b'"\xc3\xa4"', Json('"ä"')),
    ],
)
def test_what_a_client_publishes_is_json_if_it_can_be(sent: bytes, payload: Payload) -> None:
    found = PROTOBUF_CODEC.extract(msgspec.Raw(sent))
    assert (type(found), found) == (type(payload), payload)
    assert bytes(PROTOBUF_CODEC.embed(found)) == sent


def test_nothing_is_an_empty_payload() -> None:
    assert PROTOBUF_CODEC.extract(NOTHING) == b""


def test_the_sdk_follows_deltas() -> None:
    old, new = (Publication("r", b"\xff" * 40 + value, 0.0) for value in (b"1", b"2"))
    (first,) = _ProtobufCodec.decode_replies(PROTOBUF_CODEC.encode_full("r", old))
    message = official.Reply.FromString(PROTOBUF_CODEC.encode_delta("r", new, old)[1:])
    assert "delta" not in first["push"]["pub"]
    assert message.push.pub.delta
    made, _ = _ProtobufCodec.apply_delta_if_needed(old.payload, message.push.pub)
    assert made == new.payload
