"""The outgoing half of a connection: bytes to the socket, and write flow control.

Also what the ASGI extension "hubbub.frames" offers as its `writer`.
"""

import asyncio
import os
from collections.abc import Callable
from enum import Enum
from typing import ClassVar, Final

from uvicorn.protocols.utils import ClientDisconnected

from hubbub.core.deflate import SHARED_WINDOW_BITS
from hubbub.uvicorn.endpoint import Endpoint


class State(Enum):
    """Where a connection is between its request and its end."""

    CONNECTING = "the app has not answered the request yet"
    RESPONDING = "the app refuses with an HTTP response of its own"
    OPEN = "messages go both ways"
    CLOSING = "our close frame is out, the client's has not come"
    ENDING = "nothing more is sent; the TCP connection is being closed"
    LOST = "the TCP connection is gone"


_OPEN: Final = State.OPEN
_NO_DESCRIPTOR: Final = -1
_write_to_descriptor: Final = os.write


class FrameWriter(asyncio.Protocol):
    """Writes frames in the order of the calls.

    With nothing buffered and no TLS, bytes go straight to the socket's descriptor, and only what the socket
    does not take goes to the transport: one system call without the event loop's write queue.
    """

    __slots__ = (
        "_descriptor",
        "_endpoint",
        "_resumed",
        "_state",
        "_transport",
        "_window_bits",
        "on_resume",
        "paused",
    )

    direct_writes: ClassVar[bool] = os.name == "posix"
    """Whether to write to the descriptor; a subclass may set it to False."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._descriptor = _NO_DESCRIPTOR
        self._state = State.CONNECTING
        self._window_bits = 0  # of permessage-deflate; 0 when it was not agreed
        self._resumed: asyncio.Event | None = None  # made by the first send() that has to wait
        self.paused: bool = False
        """Between pause_writing and resume_writing: the client reads too slowly."""
        self.on_resume: Callable[[], None] | None = None
        """Called when writing resumes. The hub sets it."""

    @property
    def deflate(self) -> bool:
        """Whether frames of `hubbub.core.deflate.encode_compressed_frame` may be written."""
        return self._window_bits >= SHARED_WINDOW_BITS

    def write_frames(self, data: bytes) -> None:
        """Put whole RFC 6455 server frames on the wire now. Never waits or raises; ignored after close."""
        if self._state is _OPEN:
            self._write(data)

    def buffered(self) -> int:
        """Return how many bytes wait in this process, outside the kernel."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Drop the TCP connection now, without a closing handshake."""
        self._descriptor = _NO_DESCRIPTOR
        self._transport.abort()

    def pause_writing(self) -> None:
        """Called by the transport when more than its high-water mark (64 KiB) is buffered."""
        self.paused = True

    def resume_writing(self) -> None:
        """Called by the transport when its buffer has gone below the low-water mark."""
        self.paused = False
        self._wake_senders()
        if self.on_resume is not None:
            self.on_resume()

    def _write(self, data: bytes) -> None:
        transport = self._transport
        # is_closing() first: a closed descriptor's number may already belong to another connection.
        if (
            self._descriptor != _NO_DESCRIPTOR
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        ):
            try:
                written = _write_to_descriptor(self._descriptor, data)
            except OSError:  # full, or broken: the transport finds out which
                written = 0
            if written == len(data):
                return
            data = data[written:]
        transport.write(data)

    def _attach(self, transport: asyncio.Transport) -> None:
        """Take the transport, and its descriptor where writing to it directly is safe."""
        self._transport = transport
        if self.direct_writes and transport.get_extra_info("sslcontext") is None:
            socket = transport.get_extra_info("socket")
            if socket is not None:
                self._descriptor = socket.fileno()

    def _detach(self) -> None:
        """The connection is lost: whoever waits to send must not wait for ever."""
        self._descriptor = _NO_DESCRIPTOR
        self.paused = False
        self.on_resume = None
        self._wake_senders()

    def _wake_senders(self) -> None:
        if self._resumed is not None:
            self._resumed.set()
            self._resumed = None

    async def _writable(self) -> None:
        """Wait until the transport takes more.

        Raises:
            ClientDisconnected: if the connection is lost meanwhile.
        """
        while self.paused:
            if self._resumed is None:
                self._resumed = asyncio.Event()
            await self._resumed.wait()
        if self._state is State.LOST:
            raise ClientDisconnected
