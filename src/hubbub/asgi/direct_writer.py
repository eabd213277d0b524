"""Writing to a server that offers "hubbub.frames": bytes to the socket in the caller's own turn.

While the client keeps up, its rooms write to its descriptor past this class. When the server pauses, the
writer asks to be regrouped: what follows waits here in a bounded outbox until the server resumes.
"""

import asyncio
from collections.abc import Callable

from hubbub.asgi.events import Event, Send
from hubbub.asgi.frames import (
    COMPRESSED_CODEC,
    DESCRIPTOR_CODEC,
    FRAME_CODEC,
    FrameBatch,
    FrameCodec,
    FrameWriter,
)
from hubbub.asgi.interrupt import Interrupted, Waits
from hubbub.asgi.listener import NOBODY, WriterListener
from hubbub.asgi.pump import begin
from hubbub.core.errors import CloseCode, Disconnected, SlowConsumer
from hubbub.core.outbox import Outbox, Outgoing


class DirectWriter:
    """The sending side of one connection.

    Args:
        frames: the server's frame writer.
        send: the server's `send`, for the close event.
        outbox_bytes: bound of what may wait here.
        waits: ends the waits of this connection.
        listener: told of a slow or lost client.
    """

    __slots__ = (
        "_closing",
        "_descriptor",
        "_frames",
        "_listener",
        "_lost",
        "_outbox",
        "_outbox_bytes",
        "_resumed",
        "_send",
        "_waits",
        "busy_since",
        "codec",
    )

    def __init__(
        self, frames: FrameWriter, send: Send, outbox_bytes: int, waits: Waits, listener: WriterListener
    ) -> None:
        self._frames = frames
        self._send = send
        self._outbox_bytes = outbox_bytes
        self._waits = waits
        self._listener = listener
        self._outbox: Outbox[bytes] | None = None  # None until the server pauses for the first time
        self._resumed: asyncio.Event | None = None  # set when nothing waits in the outbox any more
        self._closing: asyncio.Future[None] | None = None  # sends the close event; None while none waits
        self._lost: Disconnected | None = None  # how the connection ended; None while open
        self.busy_since: float | None = None  # loop time of the last progress of a client that is behind
        self._descriptor = -1  # written to directly by rooms; -1 while that may not be done
        self.codec: FrameCodec = FRAME_CODEC  # how rooms write to the client now
        self._go_direct()

    @property
    def handle(self) -> int | Callable[[FrameBatch], None]:
        """What the codec writes to."""
        return self.write if self._descriptor < 0 else self._descriptor

    @property
    def buffered(self) -> int:
        """Bytes waiting here and in the server."""
        return self._frames.buffered() + (self._outbox.size if self._outbox is not None else 0)

    @property
    def queued_most(self) -> int:
        """Most bytes that have ever waited here."""
        return self._outbox.most if self._outbox is not None else 0

    def write(self, batch: FrameBatch) -> None:
        """Write without waiting. A client whose outbox is full is reported as slow."""
        if self._lost is not None:
            return
        frames = self._frames
        if frames.paused or self._outbox:
            self._queue(batch.items)
        else:
            frames.write_frames(batch.data)

    def write_rest(self, rest: bytes) -> None:
        """Write what a write to the descriptor left over."""
        if self._lost is None:
            self._frames.write_rest(rest)

    async def send(self, item: Outgoing[bytes]) -> None:
        """Send after everything that was written before; wait while the client is slow.

        Raises:
            Disconnected: if the connection is closed, or closes meanwhile.
        """
        self._raise_if_ended()
        if not self._frames.paused and not self._outbox:
            self._frames.write_frames(item.frame)
            if not self._frames.paused:
                return
        else:
            self._queue([item])
        try:
            while (self._outbox or self._frames.paused) and self._lost is None:
                self._watch_resume()
                self._resumed = self._resumed or asyncio.Event()
                await self._waits.until_interrupted(self._resumed.wait())
        except Interrupted:
            pass
        self._raise_if_ended()

    def close(self, event: Event, *, discard: bool) -> None:
        """Send the close event after what waits; with `discard`, in place of it."""
        if self._closing is not None or self._lost is not None:
            return
        if discard and self._outbox is not None:
            self._outbox.clear()
        # In a task begin now, not at the end of the turn: a handler that returns takes the socket with it.
        closing = self._close(event)
        rest = closing if asyncio.current_task() is None else begin(closing)
        if rest is not None:
            self._closing = asyncio.ensure_future(rest)

    async def drained(self, seconds: float) -> None:
        """Wait until the close event is with the server, so many seconds at most."""
        if self._closing is not None:
            await asyncio.wait((self._closing,), timeout=seconds)

    def end(self, cause: Disconnected) -> None:
        """The connection has ended: refuse what comes now. A close event still goes out."""
        if self._lost is None:
            self._lost = cause
            self._listener = NOBODY

    def abort(self) -> None:
        """Throw away what waits. A client that has not taken the close event is cut off."""
        if self._outbox is not None:
            self._outbox.clear()
        if self._closing is not None and not self._closing.done():
            self._closing.cancel()
            self._frames.abort()
        self._closing = None  # once cancelled, it would hold our frame

    def _raise_if_ended(self) -> None:
        """A handler that only sends hears here of the end, and would otherwise go on without ever waiting."""
        if self._lost is None and not self._frames.open:
            self._listener.lost(Disconnected(CloseCode.ABNORMAL))
        if self._lost is not None:
            # A new one: raising the one that is kept would hang these frames on it.
            raise Disconnected(self._lost.code, self._lost.reason)

    def _go_direct(self) -> bool:
        """Let rooms write to the descriptor, if the server allows it."""
        self._frames.on_resume = self._resume
        # Compressed members are few, and compressing costs far more than the checks of `write`.
        if self._frames.deflate:
            self.codec = COMPRESSED_CODEC
            return False
        self._descriptor = self._frames.descriptor
        if self._descriptor < 0:
            return False
        self.codec = DESCRIPTOR_CODEC
        self._frames.on_pause = self._go_indirect
        return True

    def _go_indirect(self) -> None:
        self._descriptor = -1
        self.codec = FRAME_CODEC
        self._frames.on_pause = None
        self._listener.regrouped()

    def _queue(self, items: list[Outgoing[bytes]]) -> None:
        if self._outbox is None:
            self._outbox = Outbox(self._outbox_bytes)
        self._watch_resume()
        dropped = 0
        try:
            for item in items:
                dropped += self._outbox.put(item)
        except SlowConsumer:
            self._listener.slow()
        if dropped:
            self._listener.dropped(dropped)

    def _watch_resume(self) -> None:
        if self.busy_since is None:
            self.busy_since = asyncio.get_running_loop().time()

    def _resume(self) -> None:
        """The server takes more: give it what waits, until it pauses again or nothing is left."""
        frames = self._frames
        outbox = self._outbox
        while outbox and not frames.paused:
            item = outbox.take()
            if item is not None:
                frames.write_frames(item.frame)
        if outbox or frames.paused:
            self.busy_since = asyncio.get_running_loop().time()
            return
        self.busy_since = None
        if self._resumed is not None:
            self._resumed.set()
            self._resumed = None
        if self._go_direct():
            self._listener.regrouped()

    async def _close(self, event: Event) -> None:
        while self._outbox:
            self._watch_resume()
            self._resumed = self._resumed or asyncio.Event()
            await self._resumed.wait()
        try:
            await self._send(event)
        except Exception as error:  # noqa: BLE001 - each server has its own way to say that the client is gone
            self._listener.lost(Disconnected(CloseCode.ABNORMAL, type(error).__name__))
