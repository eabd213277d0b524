"""The wire format of protobuf, as far as the protocol needs it: reading and writing by tables of fields.

Written by hand rather than generated: the messages are few and small, the tables make the very objects that
the JSON codec makes, and nothing has to be installed or to fit a version of a runtime. The format is
described in the documentation of Protocol Buffers, page "Encoding".
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from hubbub.core.errors import InvalidMessage

MAX_DEPTH: Final = 64
"""How deep messages may be nested."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Kind(Enum):
    """The types of fields that occur."""

    UINT32 = "uint32"
    UINT64 = "uint64"
    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"
    STRING = "string"
    BYTES = "bytes"
    MESSAGE = "message"
    STRING_MAP = "map<string, string>"
    MESSAGE_MAP = "map<string, message>"


class Field(NamedTuple):
    """One field of a message."""

    name: str
    kind: Kind
    message: type[msgspec.Struct] | None = None
    """The type of a message, or of a map's values."""

    repeated: bool = False


Fields: TypeAlias = Mapping[int, Field]
"""A message's fields by number."""

Tables: TypeAlias = Mapping[type[msgspec.Struct], Fields]

_VARINTS: Final = frozenset((Kind.UINT32, Kind.UINT64, Kind.INT32, Kind.INT64, Kind.BOOL))
_MAPS: Final = frozenset((Kind.STRING_MAP, Kind.MESSAGE_MAP))


# Reading


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at that place, modulo 2**64, and where it ends.

    Raises:
        InvalidMessage: if it has no end within the data, or is longer than ten bytes.
    """
    value = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, at
            shift += 7
            if shift > 63:
                raise InvalidMessage("A number is too long")
    except IndexError:
        raise InvalidMessage("A number is cut off") from None


def _read_tag(data: bytes, at: int) -> tuple[int, int]:
    """A field's number and wire type. Numbers have 29 bits, and both together at most five bytes."""
    tag, end = read_varint(data, at)
    if end - at > 5 or not 0 < tag >> 3 < 2**29:
        raise InvalidMessage("There is no such field")
    return tag, end


def read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """The bytes that a length announces, and where they end. Raises `InvalidMessage` if they are cut off."""
    size, at = read_varint(data, at)
    end = at + size
    if end > len(data):
        raise InvalidMessage("A field is cut off")
    return data[at:end], end


def decode(tables: Tables, message: type[msgspec.Struct], data: bytes, depth: int = MAX_DEPTH) -> Any:
    """One message. Unknown fields are skipped; of a field that occurs twice the last one counts.

    Raises:
        InvalidMessage: if it is malformed.
    """
    if not depth:
        raise InvalidMessage("Messages nested too deeply")
    fields = tables[message]
    values: dict[str, Any] = {}
    at, end = 0, len(data)
    while at < end:
        tag, at = _read_tag(data, at)
        wire_type = tag & 7
        field = fields.get(tag >> 3)
        if field is not None and wire_type == _VARINT and field.kind in _VARINTS:
            number, at = read_varint(data, at)
            values[field.name] = _number(field.kind, number)
        elif field is not None and wire_type == _BYTES and field.kind not in _VARINTS:
            part, at = read_bytes(data, at)
            _add(values, field, _part(tables, field, part, depth))
        else:
            at = _skip(data, at, tag)
    return message(**values)


def _number(kind: Kind, value: int) -> int | bool:
    if kind is Kind.BOOL:
        return value != 0
    if kind is Kind.UINT64:
        if value >= 2**63:  # as in JSON: an offset has to fit the brokers
            raise InvalidMessage("A number is too large")
        return value
    if kind is Kind.INT64:
        return value - 2**64 if value >= 2**63 else value
    value &= 0xFFFFFFFF
    return value - 2**32 if kind is Kind.INT32 and value >= 2**31 else value


def _part(tables: Tables, field: Field, part: bytes, depth: int) -> Any:
    if field.kind is Kind.BYTES:
        return msgspec.Raw(part)
    if field.kind is Kind.STRING:
        return _text(part)
    if field.kind is Kind.MESSAGE:
        assert field.message is not None
        return decode(tables, field.message, part, depth - 1)
    return _entry(tables, field, part, depth)


def _entry(tables: Tables, field: Field, part: bytes, depth: int) -> tuple[str, Any]:
    """A map's entry: a message with the key as field 1 and the value as field 2."""
    key, value = b"", b""
    at = 0
    while at < len(part):
        tag, at = _read_tag(part, at)
        if tag == 1 << 3 | _BYTES:
            key, at = read_bytes(part, at)
        elif tag == 2 << 3 | _BYTES:
            value, at = read_bytes(part, at)
        else:
            at = _skip(part, at, tag)
    if field.message is None:
        return _text(key), _text(value)
    return _text(key), decode(tables, field.message, value, depth - 1)


def _add(values: dict[str, Any], field: Field, value: Any) -> None:
    if field.kind in _MAPS:
        key, item = value
        values.setdefault(field.name, {})[key] = item
    elif field.repeated:
        values[field.name] = (*values.get(field.name, ()), value)
    else:
        values[field.name] = value


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidMessage("Not UTF-8") from error


def _skip(data: bytes, at: int, tag: int) -> int:
    """Where the value of an unknown field ends. Groups, long deprecated, are refused."""
    wire_type = tag & 7
    if wire_type == _VARINT:
        return read_varint(data, at)[1]
    if wire_type == _BYTES:
        return read_bytes(data, at)[1]
    if wire_type not in (_FIXED64, _FIXED32):
        raise InvalidMessage("Unknown wire type")
    at += 8 if wire_type == _FIXED64 else 4
    if at > len(data):
        raise InvalidMessage("A field is cut off")
    return at


# Writing


def varint(value: int) -> bytes:
    """The number; a negative one in two's complement of 64 bits."""
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def block(number: int, data: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return b"".join((varint(number << 3 | _BYTES), varint(len(data)), data))


def encode(tables: Tables, message: msgspec.Struct) -> bytes:
    """One message. Fields that hold nothing are left out; a message that is there, but empty, is not."""
    parts: list[bytes] = []
    for number, field in tables[type(message)].items():
        value = getattr(message, field.name)
        if value is None:
            continue
        if field.kind in _VARINTS:
            if value:
                parts += varint(number << 3), varint(value)
        elif field.kind in _MAPS:
            parts += (block(number, _pair(tables, key, item)) for key, item in value.items())
        elif field.repeated:
            parts += (block(number, _blob(tables, item)) for item in value)
        elif data := _blob(tables, value):
            parts.append(block(number, data))
        elif field.kind is Kind.MESSAGE:
            parts.append(block(number, b""))
    return b"".join(parts)


def _pair(tables: Tables, key: str, value: object) -> bytes:
    return block(1, key.encode()) + block(2, _blob(tables, value))


def _blob(tables: Tables, value: object) -> bytes:
    if isinstance(value, msgspec.Struct):
        return encode(tables, value)
    if isinstance(value, str):
        return value.encode(errors="replace")
    assert isinstance(value, msgspec.Raw)
    return bytes(value)
