"""Every way a connection ends (RFC 6455 section 7).

Whatever has begun to end is dropped at a deadline, so that no client can keep it half open.
"""

from typing import Final

from hubbub.core.errors import CloseCode
from hubbub.core.frames import Close, encode_close, may_be_sent
from hubbub.uvicorn.inbox import Inbox, Message
from hubbub.uvicorn.writer import State

_ACCEPTED: Final = frozenset((State.OPEN, State.CLOSING, State.ENDING))


class Closing(Inbox):
    """The closing handshake, from both sides, and the ends without one."""

    __slots__ = ()

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Start the closing handshake from outside of the app, which sees a disconnect.

        Ignored when the connection is not open.
        """
        if self._state is State.OPEN:
            self._start_close(code, reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport when the TCP connection is gone: tell the app, let go of everything."""
        accepted = self._state in _ACCEPTED
        self._leave_open(State.LOST)
        self._endpoint.connections.discard(self)
        self._endpoint.forget(self)
        self._detach()
        self._fail_pings()
        # 1005 for a connection that was open is what uvicorn's own protocols say here.
        self._deliver(_disconnect(CloseCode.NO_STATUS if accepted else CloseCode.ABNORMAL))

    def eof_received(self) -> None:
        """Called by the transport when the client sends no more; it closes when this returns None."""

    def _start_close(self, code: int, reason: str) -> None:
        """Send a close frame and wait for the client's (RFC 6455 section 7.1.2)."""
        code = code if may_be_sent(code) else CloseCode.NO_STATUS
        self._deliver(_disconnect(code, reason))
        self._write(encode_close(code, reason))
        self._leave_open(State.CLOSING)
        self._endpoint.closing.add(self)
        self._read_to_the_end()

    def _answer_close(self, frame: Close) -> None:
        """The client's close frame came: answer it if it was the first, then end."""
        if self._state is State.OPEN:
            self._deliver(_disconnect(frame.code, frame.reason))
            self._write(encode_close(frame.code, frame.reason))
        self._end()

    def _fail(self, code: CloseCode, reason: str) -> None:
        """The client broke a rule (RFC 6455 section 7.1.7).

        Closing at once would reset the connection while the client still sends, and its close frame would be
        lost: so only our direction is closed, and what still comes in is thrown away until the deadline.
        """
        if self._state is State.OPEN:
            self._endpoint.logger.info('%s - "WebSocket" closed %d: %s', self._peer(), code, reason)
            self._deliver(_disconnect(code, reason))
            self._write(encode_close(code, reason))
        self._leave_open(State.ENDING)
        self._endpoint.closing.add(self)
        self._read_to_the_end()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _end(self) -> None:
        """Close the TCP connection once everything written is out."""
        self._leave_open(State.ENDING)
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._endpoint.closing.add(self)

    def _leave(self) -> None:
        """The server shuts down: say so, and wait only briefly for the answer."""
        if self._state is State.OPEN:
            self._deliver(_disconnect(CloseCode.SERVICE_RESTART))
            self._write(encode_close(CloseCode.SERVICE_RESTART))
            self._leave_open(State.CLOSING)
            self._read_to_the_end()
        self._endpoint.closing.discard(self)
        self._endpoint.leaving.add(self)

    def _read_to_the_end(self) -> None:
        """The app gets no more messages, so it cannot be what reading waits for."""
        if self._reading_paused:
            self._resume_reading()

    def _peer(self) -> str:
        """The client's address for a log line, as uvicorn writes it."""
        address = self._transport.get_extra_info("peername")
        return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else ""


def _disconnect(code: int, reason: str | None = None) -> Message:
    message: Message = {"type": "websocket.disconnect", "code": int(code)}
    if reason is not None:
        message["reason"] = reason
    return message
