"""The ASGI extension "hubbub.frames": ready frames, written past the server's `send`.

`hubbub.uvicorn:WebSocketProtocol` offers it as ``scope["extensions"]["hubbub.frames"]["writer"]``.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping
from os import write
from typing import Any, Final, Protocol

import msgspec

from hubbub.asgi.events import Scope
from hubbub.core.deflate import encode_compressed_frame
from hubbub.core.frames import Opcode, encode_frame
from hubbub.core.messages import Payload
from hubbub.core.outbox import Outgoing, Overflow

EXTENSION: Final = "hubbub.frames"


class FrameWriter(Protocol):
    """What the extension's `writer` can do."""

    paused: bool
    """The client reads too slowly: the server holds more than its high-water mark."""

    on_pause: Callable[[], None] | None
    """Called when `descriptor` may no longer be written to: paused, closing or lost."""

    on_resume: Callable[[], None] | None
    """Called when `paused` has become False."""

    @property
    def open(self) -> bool:
        """Whether frames are still written, and not ignored."""
        ...

    @property
    def descriptor(self) -> int:
        """A non-blocking descriptor to write whole frames to; -1 where or while that may not be done."""
        ...

    def write_rest(self, data: bytes) -> None:
        """Write what the socket did not take of a write to `descriptor`."""
        ...

    @property
    def deflate(self) -> bool:
        """Whether compressed frames may be written."""
        ...

    def write_frames(self, data: bytes) -> None:
        """Put whole server frames on the wire now, in order with `send`. Never waits and never raises."""
        ...

    def buffered(self) -> int:
        """Bytes that wait in this process, outside the kernel."""
        ...

    def abort(self) -> None:
        """Drop the TCP connection without a closing handshake."""
        ...

    async def ping(self) -> float:
        """Send a ping; return the round-trip time in seconds."""
        ...


def frame_writer(scope: Scope) -> FrameWriter | None:
    """The server's frame writer; None where the server has none."""
    extension = (scope.get("extensions") or {}).get(EXTENSION)
    writer: FrameWriter | None = extension["writer"] if extension else None
    return writer


class FrameBatch(msgspec.Struct, frozen=True, gc=False):
    """Messages that are written together."""

    data: bytes
    """All frames in one piece, for a client that keeps up."""

    items: list[Outgoing[bytes]]
    """One by one, for an outbox."""


class FrameCodec:
    """Encodes a payload as one RFC 6455 frame, the same for every member."""

    __slots__ = ()

    def encode(
        self,
        payload: Payload,
        *,
        room: str | None = None,
        key: str | None = None,
        overflow: Overflow = Overflow.DISCONNECT,
    ) -> Outgoing[bytes]:
        """The frame, with what an outbox has to know about it."""
        if isinstance(payload, bytes):
            frame = self.frame(Opcode.BINARY, payload)
        else:
            frame = self.frame(Opcode.TEXT, payload.encode())
        return Outgoing(frame, len(frame), room, key, overflow)

    def frame(self, opcode: Opcode, payload: bytes) -> bytes:
        """One frame with the whole message."""
        return encode_frame(opcode, payload)

    def join(self, items: list[Outgoing[bytes]]) -> FrameBatch:
        """Frames follow each other without anything between."""
        data = items[0].frame if len(items) == 1 else b"".join([item.frame for item in items])
        return FrameBatch(data, items)

    def line_up(self, handles: Iterable[Any]) -> Any:
        """Each handle is the `write` of a `DirectWriter`."""
        return list(handles)

    def deliver(self, line: Any, batch: FrameBatch) -> Mapping[Any, int]:
        """A member that turns out to be too slow is closed meanwhile; the line stays as it is."""
        for write_frames in line:
            write_frames(batch)
        return {}


class DescriptorCodec(FrameCodec):
    """The same for members that keep up, and whose sockets can be written to without asking anybody."""

    __slots__ = ()

    def line_up(self, handles: Iterable[int]) -> "array[int]":
        """Each handle is a descriptor. Side by side they are read faster than from all over memory."""
        return array("i", handles)

    def deliver(self, line: "array[int]", batch: FrameBatch) -> Mapping[int, int]:
        """The innermost loop of a fan-out: it checks nothing."""
        data = batch.data
        size = len(data)
        unfinished = {}
        for descriptor in line:
            try:
                written = write(descriptor, data)
            except OSError:  # full, or broken: the server finds out which
                written = 0
            if written != size:
                unfinished[descriptor] = written
        return unfinished


class CompressedCodec(FrameCodec):
    """The same for members that agreed to permessage-deflate: compressed once for all of them."""

    __slots__ = ()

    def frame(self, opcode: Opcode, payload: bytes) -> bytes:
        """One frame, compressed where that makes it shorter."""
        return encode_compressed_frame(opcode, payload)


FRAME_CODEC = FrameCodec()
DESCRIPTOR_CODEC = DescriptorCodec()
COMPRESSED_CODEC = CompressedCodec()
