"""A request's JSON as its struct, also where the writer of another language has its own way with JSON."""

from typing import Final, TypeVar

import msgspec

from hubbub.centrifuge.json_text import without_lone_surrogates

DATA: Final = "data"
"""The field that may be null: it is JSON of any shape."""

T = TypeVar("T")
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_body(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode an object.

    A field that is null is as good as none, as in proto3's JSON mapping, and half an emoji is U+FFFD.

    Raises:
        msgspec.DecodeError: if it is no JSON, or not of the shape that the decoder wants.
    """
    try:
        return decoder.decode(body)
    except msgspec.DecodeError:
        return decoder.decode(_mended(body))


def _mended(body: bytes) -> bytes:
    text = without_lone_surrogates(body.decode(errors="surrogateescape"))  # what is no UTF-8 stays so
    fields = _fields.decode(text.encode(errors="surrogateescape"))
    given = {name: value for name, value in fields.items() if name == DATA or bytes(value) != b"null"}
    return msgspec.json.encode(given)
