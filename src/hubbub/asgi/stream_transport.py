"""A response that does not end: messages for a client, one way. What the client says comes by other requests.

Server-sent events (WHATWG HTML, section "Server-sent events") and plain streams, on any ASGI server.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from hubbub.asgi.event_writer import EventWriter
from hubbub.asgi.events import Event, EventCodec, Receive, Scope, Send
from hubbub.asgi.listener import Listener
from hubbub.asgi.pump import Pump
from hubbub.asgi.sending_transport import SendingTransport
from hubbub.core.errors import CloseCode, Disconnected
from hubbub.core.limits import Limits
from hubbub.core.messages import Payload
from hubbub.core.outbox import Outgoing, Overflow

Farewell: TypeAlias = Callable[[int, str], Payload]
"""Makes the last message of a close code and a reason: the end of a response cannot say why."""


class StreamCodec(EventCodec, ABC):
    """Encodes a payload as a piece of the body. One event object is shared by all members."""

    __slots__ = ()

    def encode(
        self,
        payload: Payload,
        *,
        room: str | None = None,
        key: str | None = None,
        overflow: Overflow = Overflow.DISCONNECT,
    ) -> Outgoing[Event]:
        """The event, with what an outbox has to know about it."""
        body = self.piece(payload if isinstance(payload, bytes) else payload.encode())
        return Outgoing(
            {"type": "http.response.body", "body": body, "more_body": True}, len(body), room, key, overflow
        )

    @abstractmethod
    def piece(self, payload: bytes) -> bytes:
        """The bytes of the body for a payload."""


class EventStreamCodec(StreamCodec):
    """``text/event-stream``: an event for each line, which has to be text without carriage returns."""

    __slots__ = ()

    def piece(self, payload: bytes) -> bytes:
        """One event after the other."""
        return b"data: " + payload.replace(b"\n", b"\n\ndata: ") + b"\n\n"


class LineStreamCodec(StreamCodec):
    """A line for each message."""

    __slots__ = ()

    def piece(self, payload: bytes) -> bytes:
        """With a line end after the last one, too."""
        return payload + b"\n"


class ByteStreamCodec(StreamCodec):
    """Messages that say themselves where they end."""

    __slots__ = ()

    def piece(self, payload: bytes) -> bytes:
        """As it is."""
        return payload


EVENT_STREAM: Final = EventStreamCodec()
LINE_STREAM: Final = LineStreamCodec()
BYTE_STREAM: Final = ByteStreamCodec()


ABORT: Final = "hubbub.abort"


def find_abort(scope: Scope) -> Callable[[], None] | None:
    """The ASGI extension "hubbub.abort" of `hubbub.uvicorn:HttpProtocol`: ends the connection at once.

    Without it a client that reads no more keeps the connection until TCP gives it up.
    """
    extension = (scope.get("extensions") or {}).get(ABORT)
    return extension["abort"] if extension else None


LEAVE: Final = "hubbub.leave"


def when_leaving(scope: Scope, end: Callable[[], None]) -> None:
    """Have the response ended by `end` when it is this client's turn to leave a server that stops.

    The ASGI extension "hubbub.leave" of `hubbub.uvicorn:HttpProtocol`. On other servers nothing happens: they
    tell nobody that they stop.
    """
    extension = (scope.get("extensions") or {}).get(LEAVE)
    if extension:
        extension["on_leave"](end)


class StreamTransport(SendingTransport):
    """A `Transport` over a response whose head has been sent, and whose request has been read.

    Args:
        receive: the server's; tells when the client has gone.
        send: the server's.
        codec: how messages stand in the body.
        farewell: makes the last message.
        cut: ends the connection at once; None where the server cannot.
        listener: told what happens.
        limits: bounds of what waits, and for how long.
        pump: sends for all connections of the hub.
    """

    _writer: EventWriter

    __slots__ = ("_arrived", "_cut", "_farewell", "_inbox", "_watching", "codec", "frames")

    def __init__(
        self,
        receive: Receive,
        send: Send,
        codec: StreamCodec,
        farewell: Farewell,
        cut: Callable[[], None] | None,
        listener: Listener,
        limits: Limits,
        pump: Pump,
    ) -> None:
        super().__init__(limits, listener)
        self._farewell = farewell
        self._cut = cut
        self.codec = codec  # how publications are written for this client
        self._writer = EventWriter(send, limits.outbox_bytes, self._waits, self, pump)
        self._inbox: deque[Payload] = deque()
        self._arrived = asyncio.Event()  # set when there is something to receive, or will be nothing any more
        self.frames = None
        self._watching: asyncio.Task[None] | None = asyncio.get_running_loop().create_task(
            self._watch(receive)
        )
        self._watching.add_done_callback(self._watched)

    @property
    def backlogged(self) -> bool:
        """So many of the client's messages wait for the handler that no more are taken."""
        return len(self._inbox) >= self._limits.inbox_messages

    def write_rest(self, rest: Any) -> None:
        """Nothing is ever left over here."""

    def deliver(self, payload: Payload) -> bool:
        """Take a message that came by another request; False if too many wait, or it has ended."""
        if self.closed or self.backlogged:
            return False
        if self._listener.received(payload):
            self._inbox.append(payload)
            self._arrived.set()
        return True

    async def receive(self) -> Payload:
        """The next message.

        Raises:
            Disconnected: when there will be none any more.
        """
        while not self._inbox:
            if self.closed:
                raise self.ended()
            self._arrived.clear()
            await self._arrived.wait()
        return self._inbox.popleft()

    def read_ahead(self) -> None:
        """The client's end is always watched for."""

    def close(self, code: int, reason: str = "", *, discard: bool = False) -> None:
        """Say farewell and end the response after what is queued, or with `discard` in place of it."""
        if self.closed:
            return
        last = self.codec.encode(self._farewell(int(code), reason)).frame
        self._writer.close({**last, "more_body": False}, discard=discard)
        self._end(Disconnected(code, reason))

    def abort(self) -> None:
        """Give up whatever has not been sent; a client that does not take it loses its connection."""
        stalled = self._writer.unfinished
        self._end(Disconnected())
        self._writer.abort()
        if stalled and self._cut is not None:
            self._cut()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._end(Disconnected(CloseCode.NO_STATUS))
        self._writer.abort()

    def _watched(self, task: "asyncio.Task[None]") -> None:
        self._watching = None  # once cancelled, it would hold our frame
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def _stop_reading(self) -> None:
        self._arrived.set()
        if self._watching is not None and self._watching is not asyncio.current_task():
            self._watching.cancel()
