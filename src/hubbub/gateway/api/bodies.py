"""A request's JSON as its struct, also where the writer of another language has its own way with JSON."""

from typing import TypeVar

import msgspec

from hubbub.centrifuge.json_text import mended

T = TypeVar("T")


def decode_body(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode an object. What cannot be decoded is once more, when it is `mended`.

    Args:
        decoder: of the request's struct.
        body: text in UTF-8.

    Raises:
        msgspec.DecodeError: if it is no JSON, or not of the shape that the decoder wants.
    """
    try:
        return decoder.decode(body)
    except msgspec.DecodeError:
        return decoder.decode(mended(body.decode()))
