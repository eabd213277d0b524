"""The JSON encoding: messages are objects, a frame has one on each line."""

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from hubbub.centrifuge.codec import MAX_COMMANDS, Codec, milliseconds
from hubbub.centrifuge.json_text import as_json, check_depth, embed_json, mended, quote
from hubbub.centrifuge.publishers import publisher_info
from hubbub.centrifuge.requests import Command
from hubbub.centrifuge.results import ChannelPublication, Push, Reply
from hubbub.core.errors import InvalidMessage
from hubbub.core.messages import Json, Payload, Publication

_decoder = msgspec.json.Decoder(Command)
_encoder = msgspec.json.Encoder()


class JsonCodec(Codec):
    """Text frames. Payloads are JSON values, not strings with JSON in them."""

    __slots__ = ()
    name: ClassVar[str] = "json"
    binary: ClassVar[bool] = False

    def decode_commands(self, frame: str | bytes) -> list[Command]:
        """One command on each line; a line end after the last one is allowed. Unknown fields are ignored."""
        try:
            text = frame.decode() if isinstance(frame, bytes) else frame
        except UnicodeDecodeError as error:
            raise InvalidMessage("Not UTF-8") from error
        lines = text.strip(" \t\r\n").split("\n")
        if len(lines) > MAX_COMMANDS:
            raise InvalidMessage("Too many commands in one frame")
        return [_decode(line) for line in lines]

    def encode_reply(self, reply: Reply) -> bytes:
        """One object, without a line end."""
        return _encoder.encode(reply)

    def join(self, messages: Iterable[bytes]) -> bytes:
        """One message on each line."""
        return b"\n".join(messages)

    def embed(self, payload: Payload) -> msgspec.Raw:
        """The payload as JSON text; `embed_json` says how."""
        return msgspec.Raw(embed_json(payload))

    def extract(self, data: msgspec.Raw) -> Payload:
        """The JSON text, as the client wrote it but for line ends."""
        text = as_json(Json(bytes(data).decode()))
        if not text:
            raise InvalidMessage("There is no data")
        return text

    def embed_text(self, data: bytes) -> msgspec.Raw:
        """A JSON string with the text in it."""
        return msgspec.Raw(quote(data.decode()))

    def encode_publication(self, channel: str, publication: Publication) -> bytes:
        """Put together from pieces: the payload is not looked at once more."""
        tail = b""
        if (info := publisher_info(publication)) is not None:
            tail = b',"info":' + _encoder.encode(info)
        if publication.position is not None:
            tail += b',"offset":%d' % publication.position.offset
        if publication.tags:
            tail += b',"tags":' + _encoder.encode(publication.tags)
        if time := milliseconds(publication):
            tail += b',"time":%d' % time
        head = b'{"push":{"channel":%b,"pub":{"data":' % _encoder.encode(channel)
        return b"".join((head, embed_json(publication.payload), tail, b"}}}"))

    def encode_push(self, channel: str, publication: ChannelPublication) -> bytes:
        """The same for data that is embedded already."""
        return _encoder.encode(Reply(push=Push(channel, publication)))


def _decode(line: str) -> Command:
    try:
        check_depth(line)
        return _read(line)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidMessage("Not a command") from error


def _read(line: str) -> Command:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        return _decoder.decode(mended(line))


JSON_CODEC = JsonCodec()
