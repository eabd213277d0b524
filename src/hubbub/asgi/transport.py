"""One WebSocket, on any ASGI server."""

from collections.abc import Awaitable
from typing import Any

from hubbub.asgi.direct_writer import DirectWriter
from hubbub.asgi.event_writer import EventWriter
from hubbub.asgi.events import Event, Receive, Scope, Send
from hubbub.asgi.frames import frame_writer
from hubbub.asgi.interrupt import Interrupted
from hubbub.asgi.listener import Listener
from hubbub.asgi.pump import Pump
from hubbub.asgi.read_ahead import ReadAhead
from hubbub.asgi.sending_transport import SendingTransport
from hubbub.core.errors import CloseCode, Disconnected
from hubbub.core.limits import Limits
from hubbub.core.messages import Payload, payload_bytes
from hubbub.core.outbox import Codec


class WebSocketTransport(SendingTransport):
    """The open part of a WebSocket's life: from the accepted handshake to the close.

    `receive` reads from the server directly as long as a handler is there to call it. When one stays away,
    `read_ahead` puts a bounded inbox between: without a reader neither a pong nor a disconnect would be seen.
    """

    __slots__ = ("_ahead", "_receive", "frames", "reading")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, limits: Limits, listener: Listener, pump: Pump
    ) -> None:
        super().__init__(limits, listener)
        self._receive = receive
        self.frames = frame_writer(scope)  # None where the server writes no frames for us
        self._writer = (
            EventWriter(send, limits.outbox_bytes, self._waits, self, pump)
            if self.frames is None
            else DirectWriter(self.frames, send, limits.outbox_bytes, self._waits, self)
        )
        self._ahead: ReadAhead | None = None  # None while handlers read directly
        self.reading = False  # a handler is waiting in `receive`

    @property
    def codec(self) -> Codec:
        """How publications are written for this client now."""
        return self._writer.codec

    @property
    def backlogged(self) -> bool:
        """Messages of the client wait for the handler and nothing more is read."""
        return self._ahead is not None and self._ahead.full

    def tell(self, listener: Listener) -> None:
        """Tell this listener from now on, in place of the one before. For one that is open."""
        self._listener = listener

    def write_rest(self, rest: Any) -> None:
        """Write what the codec's `deliver` left over."""
        if isinstance(self._writer, DirectWriter):
            self._writer.write_rest(rest)

    async def receive(self) -> Payload:
        """The next message.

        Raises:
            Disconnected: when there will be none any more.
            RuntimeError: if another task is receiving already.
        """
        if self.reading:
            raise RuntimeError("another task is already receiving from this connection")
        self.reading = True
        try:
            while True:
                payload = self._ahead.take() if self._ahead is not None else None
                if payload is None and self.closed:
                    raise self.ended()
                if payload is None:  # not in a method of its own: a coroutine less for each that waits
                    try:
                        if self._ahead is not None:
                            await self._waits.until_interrupted(self._ahead.wait())
                        else:
                            event = await self._until_interrupted(self._receive())
                            payload = None if self.closed else self._take(event)
                    except Interrupted:
                        continue
                if payload is not None:
                    return payload
        finally:
            self.reading = False

    def read_ahead(self) -> None:
        """Read without a handler from now on, `Limits.inbox_messages` at most."""
        if self._ahead is None and not self.reading and not self.closed:
            self._ahead = ReadAhead(self._read, self._limits.inbox_messages, self._failed)

    def close(self, code: int, reason: str = "", *, discard: bool = False) -> None:
        """Close after what is queued, or with `discard` in place of it. Does not wait; `finish` does."""
        if self.closed:
            return
        # RFC 6455 section 5.5: a control frame holds 125 bytes, two of them the code.
        reason = reason.encode()[:123].decode(errors="ignore")
        event = {"type": "websocket.close", "code": int(code), "reason": reason}
        self._writer.close(event, discard=discard)
        self._end(Disconnected(code, reason))

    def abort(self) -> None:
        """Give up whatever has not been sent."""
        self._end(Disconnected())
        self._writer.abort()

    def _until_interrupted(self, receiving: Awaitable[Event]) -> Awaitable[Event]:
        """A server with the extension ends the wait itself: nothing has to stand around it."""
        return receiving if self.frames is not None else self._waits.until_interrupted(receiving)

    async def _read(self) -> Payload | None:
        return self._take(await self._receive())

    def _take(self, event: Event) -> Payload | None:
        """The message in an event; None where it is not one for the handler."""
        if event["type"] == "websocket.disconnect":
            self._end(Disconnected(event.get("code") or CloseCode.NO_STATUS, event.get("reason") or ""))
            self._writer.abort()
            return None
        payload: Payload | None = event.get("text")
        if payload is None:
            payload = event.get("bytes") or b""
        most = self._limits.message_bytes
        if len(payload) > most // 4 and payload_bytes(payload) > most:
            self.close(CloseCode.MESSAGE_TOO_BIG, f"message over {most} bytes")
            return None
        return payload if self._listener.received(payload) else None

    def _stop_reading(self) -> None:
        if self.frames is not None:
            self.frames.end_receive()
        if self._ahead is not None:
            self._ahead.stop()
