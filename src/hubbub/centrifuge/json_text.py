"""Which payloads are JSON already, and what becomes of those that are not, inside a JSON message."""

import base64
import re
from array import array
from itertools import accumulate
from typing import Final

import msgspec

from hubbub.core.errors import InvalidMessage
from hubbub.core.messages import MAX_JSON_DEPTH, Json, Payload

_NO_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^\[\]{}"]+', re.DOTALL)  # strings, and what is between
_STEPS: Final = bytes.maketrans(
    b'[{]}"', bytes((1, 1, 255, 255, 0))
)  # down a level, up a level (-1), neither

_ESCAPES: Final = re.compile(
    r"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|\\u[Dd][89A-Fa-f][0-9A-Fa-f]{2}|\\."
)  # a surrogate pair, a surrogate, any other escape
_LONE: Final = 6
"""Characters of the escape of one surrogate; any other escape is of another length."""

_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decoder = msgspec.json.Decoder(msgspec.Raw)  # checks the syntax and makes nothing


def embed_json(payload: Payload) -> bytes:
    """A payload as JSON text without line ends.

    - What is known to be `Json`, and UTF-8 bytes that are, stand there as they are.
    - Any other text becomes a JSON string, also if it looks like JSON: a chat line "5" stays a text.
    - Any other bytes become a JSON string in base64 (RFC 4648 section 4), as proto3's JSON mapping has it.

    The reference server disconnects its JSON clients at such bytes (3506). Here one binary message in a room
    would then end all JSON members of it, whoever sent it.
    """
    if isinstance(payload, bytes):
        found = bytes_as_json(payload)
        return found.encode() if found is not None else b'"%b"' % base64.b64encode(payload)
    return _without_line_ends(payload).encode() if isinstance(payload, Json) else quote(payload)


def quote(text: str) -> bytes:
    """The text as a JSON string. What is not valid Unicode (a lone surrogate) becomes a question mark."""
    try:
        return msgspec.json.encode(text)
    except UnicodeEncodeError:
        return msgspec.json.encode(text.encode(errors="replace").decode())


def as_json(text: str) -> Json | None:
    """The text marked as JSON, if it is valid and not nested too deeply; None if it is not.

    Line ends are taken out: they separate messages in a frame and in an event stream, and JSON has them only
    between its tokens.
    """
    if not isinstance(text, Json):
        if not _is_json(text):
            return None
        text = Json(text)
    return _without_line_ends(text)


def _without_line_ends(text: Json) -> Json:
    if "\n" in text or "\r" in text:
        return Json(text.replace("\n", "").replace("\r", ""))
    return text


def bytes_as_json(data: bytes) -> Json | None:
    """The same for bytes, which have to be UTF-8."""
    try:
        return as_json(data.decode())
    except UnicodeDecodeError:
        return None


def _without_lone_surrogates(text: str) -> str:
    """With U+FFFD in place of each escape of a surrogate that is no half of a pair.

    `JSON.stringify` writes such escapes (ECMA-262, QuoteJSONString), as of a text that was cut within an
    emoji. They stand for no text that UTF-8 has, so msgspec takes no JSON with them.
    """
    return _ESCAPES.sub(lambda found: r"\ufffd" if len(found[0]) == _LONE else found[0], text)


def mended(text: str) -> str:
    """JSON of an object as msgspec takes it, where other writers of JSON have their own ways.

    Half an emoji becomes U+FFFD. A field that is null is taken out, as proto3's JSON mapping has it for one
    that is not there; only `data` may be null. Nothing else is changed, not even a number of any length.

    Raises:
        msgspec.DecodeError: if it is no object.
    """
    return _without_nulls(_without_lone_surrogates(text).encode()).decode()


def _without_nulls(text: bytes) -> bytes:
    fields: dict[str, bytes] = {}
    for name, value in _fields.decode(text).items():
        raw = bytes(value)
        if name == "data":
            fields[name] = raw
        elif raw != b"null":
            fields[name] = _without_nulls(raw) if raw.startswith(b"{") else raw
    return b"{%b}" % b",".join(b"%b:%b" % (msgspec.json.encode(name), raw) for name, raw in fields.items())


def check_depth(text: str) -> None:
    """Refuse JSON nested more than `MAX_JSON_DEPTH` deep. Nothing is decoded: any number passes.

    Raises:
        InvalidMessage: if it is.
    """
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return
    steps = array("b", _NO_BRACKETS.sub("", text).encode().translate(_STEPS))
    if max(accumulate(steps), default=0) > MAX_JSON_DEPTH:
        raise InvalidMessage("JSON nested too deeply")


def _is_json(text: str) -> bool:
    try:
        check_depth(text)
        _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, InvalidMessage, RecursionError):
        return False
    return True
