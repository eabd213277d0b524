"""The protobuf encoding: a frame is a sequence of messages, each after its length."""

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from hubbub.centrifuge.codec import MAX_COMMANDS, Codec, milliseconds
from hubbub.centrifuge.json_text import bytes_as_json
from hubbub.centrifuge.protobuf_tables import REQUESTS, RESULTS
from hubbub.centrifuge.protobuf_wire import block, decode, encode, read_bytes, varint
from hubbub.centrifuge.publishers import publisher_info
from hubbub.centrifuge.requests import Command
from hubbub.centrifuge.results import ChannelPublication, Push, Reply
from hubbub.core.errors import InvalidMessage
from hubbub.core.messages import Payload, Publication


class ProtobufCodec(Codec):
    """Binary frames. Payloads are bytes: text in UTF-8, anything else as it is."""

    __slots__ = ()
    name: ClassVar[str] = "protobuf"
    binary: ClassVar[bool] = True

    def decode_commands(self, frame: str | bytes) -> list[Command]:
        """Commands one after the other. Unknown fields are skipped."""
        if isinstance(frame, str) or not frame:
            raise InvalidMessage("Expected a binary frame with commands")
        commands: list[Command] = []
        at = 0
        while at < len(frame):
            if len(commands) == MAX_COMMANDS:
                raise InvalidMessage("Too many commands in one frame")
            message, at = read_bytes(frame, at)
            commands.append(decode(REQUESTS, Command, message))
        return commands

    def encode_reply(self, reply: Reply) -> bytes:
        """One message after its length."""
        message = encode(RESULTS, reply)
        return varint(len(message)) + message

    def join(self, messages: Iterable[bytes]) -> bytes:
        """They follow each other without anything between."""
        return b"".join(messages)

    def embed(self, payload: Payload) -> msgspec.Raw:
        """The bytes; text in UTF-8."""
        return msgspec.Raw(payload if isinstance(payload, bytes) else payload.encode(errors="replace"))

    def extract(self, data: msgspec.Raw) -> Payload:
        """`Json` where the bytes are JSON, so that other kinds of clients can read it; else the bytes."""
        payload = bytes(data)
        found = bytes_as_json(payload)
        return payload if found is None else found

    def embed_text(self, data: bytes) -> msgspec.Raw:
        """Bytes as they are."""
        return msgspec.Raw(data)

    def encode_publication(self, channel: str, publication: Publication) -> bytes:
        """Put together from pieces, without making the messages."""
        payload = publication.payload
        data = payload if isinstance(payload, bytes) else payload.encode(errors="replace")
        body = block(4, data) if data else b""
        if (info := publisher_info(publication)) is not None:
            body += block(5, encode(RESULTS, info))
        if publication.position is not None:
            body += b"\x30" + varint(publication.position.offset)
        for key, value in (publication.tags or {}).items():
            body += block(7, block(1, key.encode()) + block(2, value.encode()))
        if time := milliseconds(publication):
            body += b"\x48" + varint(time)
        message = block(4, block(2, channel.encode()) + block(4, body))
        return varint(len(message)) + message

    def encode_push(self, channel: str, publication: ChannelPublication) -> bytes:
        """The same for data that is embedded already."""
        return self.encode_reply(Reply(push=Push(channel, publication)))


PROTOBUF_CODEC = ProtobufCodec()
