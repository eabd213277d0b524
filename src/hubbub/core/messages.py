"""What travels: payloads, publications, and the rule that turns any Python value into a payload."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import msgspec

from hubbub.core.errors import InvalidMessage, WrongMessageType
from hubbub.core.positions import Position

MAX_JSON_DEPTH: Final = 64
"""How deep the JSON of a client may be nested."""

_TOO_DEEP: Final = "JSON nested too deeply"


class Json(str):
    """Text that is JSON, made by `to_payload` of something that is neither `str` nor `bytes`.

    To a plain client it is text like any other. Where publications travel inside JSON it is not made a string
    once more.
    """

    __slots__ = ()


Payload: TypeAlias = str | bytes
"""The content of one message: `str` goes out as a text frame, `bytes` as a binary frame."""


class Publication(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message in a room."""

    room: str
    """The name of the room."""

    payload: Payload
    """The message as it goes out."""

    time: float
    """When the broker accepted it, in seconds since the Unix epoch."""

    position: Position | None = None
    """Its place in the room's history; None where the room keeps none."""

    publisher: str | None = None
    """The user or connection that published it, if it was named."""

    key: str | None = None
    """With `Overflow.KEEP_NEWEST`, a newer publication of the same key replaces one that waits."""

    tags: Mapping[str, str] | None = None
    """What the publisher said about it besides."""

    @property
    def size(self) -> int:
        """Bytes of the payload; for text the number of characters, a lower bound that costs nothing."""
        return len(self.payload)


@runtime_checkable
class _PydanticModel(Protocol):
    def model_dump(self, *, mode: str) -> object: ...


def _to_builtin(value: object) -> object:
    if isinstance(value, _PydanticModel):
        return value.model_dump(mode="json")
    raise NotImplementedError


_encoder = msgspec.json.Encoder(enc_hook=_to_builtin)


def to_payload(message: object) -> Payload:
    """`str` and `bytes` stay as they are; anything else becomes `Json`.

    Dataclasses, msgspec Structs, pydantic models, datetimes and UUIDs are understood.

    Raises:
        TypeError: if the message cannot be written as JSON.
        InvalidMessage: for a `str` that is not valid Unicode (a lone surrogate): it has no UTF-8 form.
    """
    if isinstance(message, str):
        if not message.isascii():
            check_text(message)
        return message
    if isinstance(message, bytes):
        return message
    if isinstance(message, bytearray | memoryview):
        return bytes(message)
    try:
        return Json(_encoder.encode(message), "utf-8")
    except (NotImplementedError, msgspec.MsgspecError, UnicodeEncodeError) as error:
        name = type(message).__name__
        why = f": {error}" if str(error) else ""
        raise TypeError(f"A message of type {name} cannot be sent as JSON{why}") from error


def check_text(*texts: str) -> None:
    """Raises `InvalidMessage` for text that is not valid Unicode, and `TypeError` for what is no text."""
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{text!r} is no text")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidMessage("The text is not valid Unicode") from error


def from_json(payload: Payload) -> Any:
    """Decode a text message as JSON (RFC 8259).

    Raises:
        WrongMessageType: if the message is binary.
        InvalidMessage: if it is not valid JSON, or nested more than `MAX_JSON_DEPTH` deep.
    """
    if isinstance(payload, bytes):
        raise WrongMessageType("Expected a text message with JSON")
    try:
        value = msgspec.json.decode(str(payload))  # of `Json`, msgspec takes none
    except RecursionError as error:  # each version of Python gets to another depth, all of them past ours
        raise InvalidMessage(_TOO_DEEP) from error
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise InvalidMessage("Invalid JSON") from error
    if payload.count("[") + payload.count("{") > MAX_JSON_DEPTH:
        _check_depth(value)
    return value


def _check_depth(value: object) -> None:
    level = _containers([value])
    for _ in range(MAX_JSON_DEPTH):
        level = _containers(
            item for one in level for item in (one.values() if isinstance(one, dict) else one)
        )
        if not level:
            return
    raise InvalidMessage(_TOO_DEEP)


def _containers(values: Iterable[object]) -> list[dict[str, object] | list[object]]:
    return [value for value in values if isinstance(value, dict | list)]


def payload_bytes(payload: Payload) -> int:
    """The exact size of a payload in bytes."""
    if isinstance(payload, bytes) or payload.isascii():
        return len(payload)
    return len(payload.encode("utf-8", "surrogatepass"))
