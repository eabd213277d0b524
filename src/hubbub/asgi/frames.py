"""The ASGI extension "hubbub.frames": ready frames, written past the server's `send`.

`hubbub.uvicorn:WebSocketProtocol` offers it as ``scope["extensions"]["hubbub.frames"]["writer"]``.
"""

from array import array
from collections.abc import Callable, Collection, Mapping
from os import write
from typing import Any, Final, Protocol

import msgspec

from hubbub.asgi.events import Scope
from hubbub.core.deflate import encode_compressed_frame
from hubbub.core.frames import Opcode, encode_message
from hubbub.core.messages import Payload, Publication
from hubbub.core.outbox import Outgoing, Overflow, encode_each, size_of

EXTENSION: Final = "hubbub.frames"

MANY: Final = 64
"""Members from which on their descriptors are laid side by side. For a few, the garbage collector's way is
shorter: it forgets a tuple of numbers, and looks at an array each time."""


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

    def end_receive(self) -> None:
        """Have a `receive` that waits return a disconnect event now: the client was given up."""
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
        frame = self.frame(payload)
        return Outgoing(frame, len(frame), room, key, overflow)

    def frame(self, payload: Payload) -> bytes:
        """One frame with the whole message."""
        return encode_message(payload)

    def join(self, items: list[Outgoing[bytes]]) -> FrameBatch:
        """Frames follow each other without anything between."""
        data = items[0].frame if len(items) == 1 else b"".join([item.frame for item in items])
        return FrameBatch(data, items)

    def encode_all(
        self, publications: list[Publication], payloads: list[Payload], overflow: Overflow
    ) -> list[Any]:
        """A frame for each, with what an outbox has to know about it."""
        return encode_each(self, publications, payloads, overflow)

    def line_up(self, handles: Collection[Any]) -> Any:
        """Each handle is the `write` of a `DirectWriter`."""
        return list(handles)

    def size(self, items: list[Any]) -> int:
        """The bytes of the frames."""
        return size_of(items)

    def deliver(self, line: Any, items: list[Any]) -> Mapping[Any, Any]:
        """A member that turns out to be too slow is closed meanwhile; the line stays as it is."""
        batch = self.join(items)
        for write_frames in line:
            write_frames(batch)
        return {}


class DescriptorCodec(FrameCodec):
    """The same for members that keep up, and whose sockets can be written to without asking anybody."""

    __slots__ = ()

    def encode_all(
        self, publications: list[Publication], payloads: list[Payload], overflow: Overflow
    ) -> list[bytes]:
        """The frames alone: nothing waits in an outbox."""
        return list(map(encode_message, payloads))

    def line_up(self, handles: Collection[int]) -> "tuple[int, ...] | array[int]":
        """Each handle is a descriptor. Many are read faster side by side than from all over memory."""
        return tuple(handles) if len(handles) < MANY else array("i", handles)

    def size(self, items: list[bytes]) -> int:
        """The bytes of the frames."""
        return sum(map(len, items))

    def deliver(self, line: "tuple[int, ...] | array[int]", items: list[bytes]) -> Mapping[int, bytes]:
        """The innermost loop of a fan-out: it checks nothing."""
        data = items[0] if len(items) == 1 else b"".join(items)
        size = len(data)
        left = {}
        for descriptor in line:
            try:
                written = write(descriptor, data)
            except OSError:  # full, or broken: the server finds out which
                written = 0
            if written != size:
                left[descriptor] = data[written:]
        return left


class CompressedCodec(FrameCodec):
    """The same for members that agreed to permessage-deflate: compressed once for all of them."""

    __slots__ = ()

    def frame(self, payload: Payload) -> bytes:
        """One frame, compressed where that makes it shorter."""
        if isinstance(payload, bytes):
            return encode_compressed_frame(Opcode.BINARY, payload)
        return encode_compressed_frame(Opcode.TEXT, payload.encode())


FRAME_CODEC = FrameCodec()
DESCRIPTOR_CODEC = DescriptorCodec()
COMPRESSED_CODEC = CompressedCodec()
