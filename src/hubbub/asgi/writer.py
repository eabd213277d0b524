"""Writing to a server that offers no more than ASGI's `send`.

One event at a time is with the server; the rest wait in a bounded outbox. A task to empty it exists only
while something waits, so an idle connection costs none.
"""

import asyncio
from collections.abc import Callable, Iterable

from hubbub.asgi.events import Event, Send
from hubbub.asgi.interrupt import Interrupted, Waits
from hubbub.core.errors import CloseCode, Disconnected
from hubbub.core.outbox import Outbox, Outgoing

HIGH_WATER = 65_536
"""Bytes waiting above which `send` waits too: what asyncio's transports use."""


class EventWriter:
    """The sending side of one connection.

    Args:
        send: the server's.
        outbox_bytes: bound of what may wait here.
        waits: ends the waits of this connection.
        on_lost: called once, from a callback or a task, when the server says that the client is gone.
    """

    __slots__ = (
        "_below",
        "_closing",
        "_drain",
        "_lost",
        "_on_lost",
        "_outbox",
        "_send",
        "_waits",
        "busy_since",
    )

    def __init__(
        self, send: Send, outbox_bytes: int, waits: Waits, on_lost: Callable[[Disconnected], None]
    ) -> None:
        self._send = send
        self._outbox: Outbox[Event] = Outbox(outbox_bytes)
        self._waits = waits
        self._on_lost = on_lost
        self._lost: Disconnected | None = None  # how the connection ended; None while open
        self._closing = False  # a close event is queued: nothing may follow it
        self._drain: asyncio.Task[None] | None = None  # empties the outbox; None while it is empty
        self._below: asyncio.Event | None = None  # set when the outbox has sunk to the high water mark
        self.busy_since: float | None = None  # loop time when the event now with the server was given to it

    @property
    def buffered(self) -> int:
        """Bytes waiting here."""
        return self._outbox.size

    def write(self, items: Iterable[Outgoing[Event]]) -> int:
        """Queue items without waiting; return how many were dropped by their rooms' policy.

        Raises:
            SlowConsumer: if they do not fit. Some may have been queued.
        """
        if self._closing or self._lost:
            return 0
        dropped = 0
        for item in items:
            dropped += self._outbox.put(item)
        self._start_drain()
        return dropped

    async def send(self, item: Outgoing[Event]) -> None:
        """Send after everything that was written before; wait while the client is slow.

        Raises:
            Disconnected: if the connection is closed, or closes meanwhile.
            SlowConsumer: if the outbox is full.
        """
        if self._closing or self._lost:
            raise self._lost or Disconnected(CloseCode.NORMAL)
        try:
            if self.busy_since is None and not self._outbox:
                await self._waits.until_interrupted(self._pass_on(item.frame))
            else:
                self.write((item,))
                while self._outbox.size > HIGH_WATER and not self._lost:
                    self._below = self._below or asyncio.Event()
                    await self._waits.until_interrupted(self._below.wait())
        except Interrupted:
            raise self._lost or Disconnected() from None
        finally:
            self._start_drain()
        if self._lost:
            raise self._lost

    def close(self, event: Event, *, discard: bool) -> None:
        """Queue the close event; with `discard`, in place of what still waits."""
        if self._closing or self._lost:
            return
        if discard:
            self._outbox.clear()
        self._outbox.put(Outgoing(event, 0))
        self._closing = True
        self._start_drain()

    async def drained(self, seconds: float) -> None:
        """Wait until everything is with the server, so many seconds at most."""
        if self._drain is not None:
            await asyncio.wait((self._drain,), timeout=seconds)

    def end(self, cause: Disconnected) -> None:
        """The connection has ended: refuse what comes now. A queued close event still goes out."""
        if self._lost is None:
            self._lost = cause

    def abort(self) -> None:
        """Throw away what waits, the close event included."""
        self._outbox.clear()
        if self._drain is not None and self._drain is not asyncio.current_task():
            self._drain.cancel()

    def _start_drain(self) -> None:
        if self._outbox and self.busy_since is None and self._drain is None:
            self._drain = asyncio.get_running_loop().create_task(self._empty())
            self._drain.add_done_callback(self._drain_ended)

    def _drain_ended(self, task: "asyncio.Task[None]") -> None:
        self._drain = None
        self._release()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._lose(Disconnected(CloseCode.ABNORMAL, str(error)))
        self._start_drain()

    async def _empty(self) -> None:
        while (item := self._outbox.take()) is not None:
            if self._outbox.size <= HIGH_WATER:
                self._release()
            await self._pass_on(item.frame)

    async def _pass_on(self, event: Event) -> None:
        self.busy_since = asyncio.get_running_loop().time()
        try:
            await self._send(event)
        except Exception as error:  # noqa: BLE001 - each server has its own way to say that the client is gone
            self._lose(Disconnected(CloseCode.ABNORMAL, type(error).__name__))
        finally:
            self.busy_since = None

    def _release(self) -> None:
        if self._below is not None:
            self._below.set()
            self._below = None

    def _lose(self, cause: Disconnected) -> None:
        self._outbox.clear()
        if self._lost is None:
            self._lost = cause
            self._on_lost(cause)
