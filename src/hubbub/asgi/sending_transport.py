"""What the transports have in common: sending through a writer, and an end that is told once."""

from abc import ABC, abstractmethod
from typing import Any

from hubbub.asgi.direct_writer import DirectWriter
from hubbub.asgi.errors import SocketDisconnected
from hubbub.asgi.event_writer import EventWriter
from hubbub.asgi.interrupt import Waits
from hubbub.asgi.listener import NOBODY, Listener
from hubbub.core.errors import CloseCode, Disconnected
from hubbub.core.limits import Limits
from hubbub.core.outbox import Outgoing


class SendingTransport(ABC):
    """A `Transport` without the receiving side. It hears its writer, which a derived class makes.

    Args:
        limits: bounds of what waits, and for how long.
        listener: told what happens.
    """

    __slots__ = ("_limits", "_listener", "_waits", "_writer", "closed")

    _writer: EventWriter | DirectWriter

    def __init__(self, limits: Limits, listener: Listener) -> None:
        self._limits = limits
        self._listener = listener
        self._waits = Waits()
        self.closed: SocketDisconnected | None = None  # how it ended; None while open

    @property
    def handle(self) -> Any:
        """What the codec writes to."""
        return self._writer.handle

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client, as far as this process knows."""
        return self._writer.buffered

    @property
    def queued_most(self) -> int:
        """Most bytes that have ever waited in the outbox."""
        return self._writer.queued_most

    @property
    def busy_since(self) -> float | None:
        """Loop time since when the client has taken nothing of what waits; None while nothing waits."""
        return self._writer.busy_since

    def write(self, batch: Any) -> None:
        """Queue what the codec joined, without waiting. A client that is too slow for it is reported."""
        self._writer.write(batch)

    async def send(self, item: Outgoing[Any]) -> None:
        """Send one message, in order with `write`; wait while the client is slow.

        Raises:
            Disconnected: if the connection has ended or ends meanwhile.
        """
        if self.closed:
            raise self.ended()
        try:
            await self._writer.send(item)
        except Disconnected as error:
            raise (self.ended() if self.closed else error) from None

    async def finish(self) -> None:
        """Wait until the end is with the server, `Limits.close_timeout` seconds at most."""
        await self._writer.drained(self._limits.close_timeout)
        self.abort()

    @abstractmethod
    def abort(self) -> None:
        """Give up whatever has not been sent."""

    def ended(self) -> SocketDisconnected:
        """How it ended, as an exception to raise. A new one each time: each has its own traceback."""
        cause = self.closed or SocketDisconnected()
        return SocketDisconnected(cause.code, cause.reason)

    def _end(self, cause: Disconnected) -> None:
        if self.closed:
            return
        self.closed = SocketDisconnected(cause.code, cause.reason)
        self._writer.end(self.closed)
        self._waits.interrupt()
        self._stop_reading()
        listener, self._listener = self._listener, NOBODY
        listener.lost(self.closed)

    @abstractmethod
    def _stop_reading(self) -> None:
        """Nothing that comes now is for a handler; whoever waits for it is to see the end."""

    def _failed(self, error: BaseException) -> None:
        """Reading has failed: the connection has ended."""
        self._end(Disconnected(CloseCode.ABNORMAL, type(error).__name__))

    # What the writer tells

    def regrouped(self) -> None:
        """The codec and the handle have changed."""
        self._listener.regrouped()

    def slow(self) -> None:
        """More waits for the client than its outbox holds."""
        self._listener.slow()

    def dropped(self, count: int) -> None:
        """So many messages were dropped by their rooms' policy."""
        self._listener.dropped(count)

    def lost(self, cause: Disconnected) -> None:
        """The server says that the client is gone."""
        self._end(cause)
