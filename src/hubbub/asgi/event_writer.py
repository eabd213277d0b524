"""Writing to a server that offers no more than ASGI's `send`.

One event at a time is with the server; the rest wait in a bounded outbox. An idle connection has no task.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress

from hubbub.asgi.events import EVENT_CODEC, Event, Send
from hubbub.asgi.interrupt import Interrupted, Waits
from hubbub.asgi.listener import NOBODY, WriterListener
from hubbub.asgi.pump import Pump, begin
from hubbub.core.errors import CloseCode, Disconnected, SlowConsumer
from hubbub.core.outbox import Outbox, Outgoing

HIGH_WATER = 65_536
"""Bytes waiting above which `send` waits too: what asyncio's transports use."""


class EventWriter:
    """The sending side of one connection.

    Args:
        send: the server's.
        outbox_bytes: bound of what may wait here.
        waits: ends the waits of this connection.
        listener: told of a slow client, and once when the server says that the client is gone.
        pump: sends for all connections of the hub.
    """

    __slots__ = (
        "_below",
        "_closing",
        "_emptied",
        "_listener",
        "_lost",
        "_outbox",
        "_rest",
        "_scheduled",
        "_send",
        "_waits",
        "busy_since",
        "pump",
    )

    codec = EVENT_CODEC

    def __init__(
        self, send: Send, outbox_bytes: int, waits: Waits, listener: WriterListener, pump: Pump
    ) -> None:
        self._send = send
        self._outbox: Outbox[Event] = Outbox(outbox_bytes)
        self._waits = waits
        self._listener = listener
        self.pump = pump
        self._scheduled = False  # the pump will call `advance`
        self._lost: Disconnected | None = None  # how the connection ended; None while open
        self._closing = False  # a close event is queued: nothing may follow it
        self._rest: asyncio.Task[None] | None = None  # ends a send that waits; None while none does
        self._below: asyncio.Event | None = None  # set when the outbox has sunk to the high water mark
        self._emptied: asyncio.Event | None = None  # set when nothing waits and nothing is with the server
        self.busy_since: float | None = None  # loop time when the event now with the server was given to it

    @property
    def handle(self) -> "EventWriter":
        """What the codec delivers to."""
        return self

    @property
    def buffered(self) -> int:
        """Bytes waiting here."""
        return self._outbox.size

    @property
    def queued_most(self) -> int:
        """Most bytes that have ever waited here."""
        return self._outbox.most

    @property
    def unfinished(self) -> bool:
        """Whether something waits, here or with the server."""
        return self.busy_since is not None or bool(self._outbox)

    def write(self, items: Iterable[Outgoing[Event]]) -> None:
        """Queue items without waiting. A client whose outbox is full is reported as slow."""
        self.pump.settle()
        self.queue(items)

    def queue(self, items: Iterable[Outgoing[Event]]) -> None:
        """`write`, but for what the pump has still to deliver."""
        if self._closing or self._lost:
            return
        dropped = 0
        try:
            for item in items:
                dropped += self._outbox.put(item)
        except SlowConsumer:
            self._listener.slow()
        self._go_on()
        if dropped:
            self._listener.dropped(dropped)

    def pass_on(self, items: Sequence[Outgoing[Event]]) -> None:
        """Give items to the server at once, if nothing waits before them. Part of the hot path."""
        if self.busy_since is not None or self._scheduled:  # else the outbox is empty
            self.queue(items)
            return
        for at, item in enumerate(items):
            if self._closing or self._lost:
                return
            try:
                rest = begin(self._send(item.frame))
            except Exception as error:  # noqa: BLE001 - each server has its own way to say that the client is gone
                self._lose(error)
                return
            if rest is not None:
                self._end_later(rest)
                self.queue(items[at + 1 :])
                return

    async def send(self, item: Outgoing[Event]) -> None:
        """Send after everything that was written before; wait while the client is slow.

        Raises:
            Disconnected: if the connection is closed, or closes meanwhile.
        """
        self.pump.settle()
        if self._closing or self._lost:
            raise self._ended()
        try:
            if self.busy_since is None and not self._outbox:
                self.busy_since = asyncio.get_running_loop().time()
                await self._waits.until_interrupted(self._finish(self._send(item.frame)))
            else:
                self.queue((item,))
                while self._outbox.size > HIGH_WATER and not self._lost:
                    self._below = self._below or asyncio.Event()
                    await self._waits.until_interrupted(self._below.wait())
        except Interrupted:
            raise self._ended() from None
        if self._lost:
            raise self._ended()

    def close(self, event: Event, *, discard: bool) -> None:
        """Queue the close event; with `discard`, in place of what still waits."""
        self.pump.settle()
        if self._closing or self._lost:
            return
        if discard:
            self._outbox.clear()
        self._outbox.put(Outgoing(event, 0))
        self._closing = True
        if asyncio.current_task() is not None:
            # Now, and not at the end of the turn: a handler that returns next takes the socket with it.
            self.advance()
        self._go_on()

    async def drained(self, seconds: float) -> None:
        """Wait until everything is with the server, so many seconds at most."""
        self.pump.settle()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.unfinished:
                    self._emptied = self._emptied or asyncio.Event()
                    await self._emptied.wait()

    def end(self, cause: Disconnected) -> None:
        """The connection has ended: refuse what comes now. A queued close event still goes out."""
        if self._lost is None:
            self._lost = cause
            self._listener = NOBODY

    def abort(self) -> None:
        """Throw away what waits, the close event included."""
        self._outbox.clear()
        if self._rest is not None and self._rest is not asyncio.current_task():
            self._rest.cancel()
            self._rest = self.busy_since = None  # a task that has not begun yet cannot say so itself
        self._go_on()

    def advance(self) -> None:
        """Give the server one event after the other, until it makes us wait. Called by the pump."""
        self._scheduled = False
        while self.busy_since is None and (item := self._outbox.take()) is not None:
            try:
                rest = begin(self._send(item.frame))
            except Exception as error:  # noqa: BLE001 - each server has its own way to say that the client is gone
                self._lose(error)
                return
            if rest is not None:
                self._end_later(rest)
        self._go_on()

    def _go_on(self) -> None:
        """Have the pump empty the outbox, unless an event is with the server: then after it."""
        if self._below is not None and self._outbox.size <= HIGH_WATER:
            self._below.set()
            self._below = None
        if self.busy_since is not None or self._scheduled:
            return
        if self._outbox:
            self._scheduled = True
            self.pump.add(self)
        elif self._emptied is not None:
            self._emptied.set()
            self._emptied = None

    def _end_later(self, rest: Awaitable[None]) -> None:
        """The server makes us wait."""
        loop = asyncio.get_running_loop()
        self.busy_since = loop.time()
        self._rest = loop.create_task(self._finish(rest))

    async def _finish(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except Exception as error:  # noqa: BLE001 - as above
            self._lose(error)
        finally:
            self.busy_since = None
            self._rest = None
            self._go_on()

    def _lose(self, error: Exception) -> None:
        self._outbox.clear()
        self._go_on()
        if self._lost is None:
            self._lost = Disconnected(CloseCode.ABNORMAL, type(error).__name__)
            listener, self._listener = self._listener, NOBODY
            listener.lost(self._lost)

    def _ended(self) -> Disconnected:
        """To raise: a new one each time, because raising the one that is kept would hang frames on it."""
        cause = self._lost
        return Disconnected(CloseCode.NORMAL) if cause is None else Disconnected(cause.code, cause.reason)
