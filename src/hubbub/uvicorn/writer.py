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


# Each look at a member of an Enum takes Python 3.11 as long as 25 instructions.
_OPEN: Final = State.OPEN
_CONNECTING: Final = State.CONNECTING
_NO_DESCRIPTOR: Final = -1
_write_to_descriptor: Final = os.write


class FrameWriter(asyncio.Protocol):
    """Writes frames in the order of the calls.

    With nothing buffered and no TLS, bytes go straight to the socket's descriptor, and only what the socket
    does not take goes to the transport: one system call without the event loop's write queue. The transport's
    high-water mark is then 0, so that `paused` says whether anything is buffered.
    """

    __slots__ = (
        "_descriptor",
        "_endpoint",
        "_resumed",
        "_state",
        "_transport",
        "_window_bits",
        "on_pause",
        "on_resume",
        "paused",
    )

    direct_writes: ClassVar[bool] = os.name == "posix"
    """Whether to write to the descriptor; a subclass may set it to False."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._descriptor = _NO_DESCRIPTOR
        self._state: State = _CONNECTING
        self._window_bits = 0  # of permessage-deflate; 0 when it was not agreed
        self._resumed: asyncio.Event | None = None  # made by the first send() that has to wait
        self.paused: bool = False
        """Between pause_writing and resume_writing: the client reads too slowly."""
        self.on_pause: Callable[[], None] | None = None
        """Called when `descriptor` may no longer be written to: paused, closing or lost. The hub sets it."""
        self.on_resume: Callable[[], None] | None = None
        """Called when writing resumes. The hub sets it."""

    @property
    def deflate(self) -> bool:
        """Whether frames of `hubbub.core.deflate.encode_compressed_frame` may be written."""
        return self._window_bits >= SHARED_WINDOW_BITS

    @property
    def open(self) -> bool:
        """Whether frames are still written, and not ignored."""
        return self._state is _OPEN

    @property
    def descriptor(self) -> int:
        """The socket, for whoever writes whole frames to it himself; -1 where or while that may not be done.

        It stays good until `on_pause` is called: event loops close it only after `connection_lost`. What the
        socket does not take at once must go to `write_rest`, before anything else is written.
        """
        return _NO_DESCRIPTOR if self.paused or self._state is not _OPEN else self._descriptor

    def write_rest(self, data: bytes) -> None:
        """Write what the socket did not take of a write to `descriptor`. Writing pauses until it is out."""
        self._transport.write(data)

    def write_frames(self, data: bytes) -> None:
        """Put whole RFC 6455 server frames on the wire now. Never waits or raises; ignored after close."""
        if self._state is _OPEN:
            self._write(data)

    def buffered(self) -> int:
        """Return how many bytes wait in this process, outside the kernel."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Drop the TCP connection now, without a closing handshake."""
        self._withdraw()
        self._transport.abort()

    def pause_writing(self) -> None:
        """Called by the transport when something is buffered; with TLS, when more than 64 KiB are."""
        self.paused = True
        if self.on_pause is not None:
            self.on_pause()

    def resume_writing(self) -> None:
        """Called by the transport when its buffer is empty; with TLS, when it holds less than 16 KiB."""
        self.paused = False
        self._wake_senders()
        if self.on_resume is not None:
            self.on_resume()

    def _write(self, data: bytes) -> None:
        if self._descriptor != _NO_DESCRIPTOR and not self.paused:
            try:
                written = _write_to_descriptor(self._descriptor, data)
            except OSError:  # full, or broken: the transport finds out which
                written = 0
            if written == len(data):
                return
            data = data[written:]
        self._transport.write(data)

    def _attach(self, transport: asyncio.Transport) -> None:
        """Take the transport, and its descriptor where writing to it directly is safe."""
        self._transport = transport
        if self.direct_writes and transport.get_extra_info("sslcontext") is None:
            socket = transport.get_extra_info("socket")
            if socket is not None:
                self._descriptor = socket.fileno()
                transport.set_write_buffer_limits(high=0)

    def _detach(self) -> None:
        """The connection is lost: whoever waits to send must not wait for ever."""
        self._withdraw()
        self.paused = False
        self._wake_senders()
        if self.on_resume is not None:
            self.on_resume()
            self.on_resume = None

    def _withdraw(self) -> None:
        """From now on the descriptor is not written to: its number may soon be another connection's."""
        self._descriptor = _NO_DESCRIPTOR
        on_pause, self.on_pause = self.on_pause, None
        if on_pause is not None:
            on_pause()

    def _leave_open(self, state: State) -> None:
        """Our last frame is written: no other may follow it (RFC 6455 section 5.5.1)."""
        self._state = state
        self._withdraw()

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
