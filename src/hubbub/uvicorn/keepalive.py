"""Pings: uvicorn's --ws-ping-interval and --ws-ping-timeout, and round trips for the hub."""

import asyncio
import random

from uvicorn.protocols.utils import ClientDisconnected

from hubbub.core.errors import CloseCode
from hubbub.core.frames import Opcode, encode_close, encode_frame
from hubbub.uvicorn.endpoint import Endpoint
from hubbub.uvicorn.writer import FrameWriter, State

_Pending = tuple[float, asyncio.Future[float | None] | None]


class KeepaliveWriter(FrameWriter):
    """Sends pings and knows which of them were answered. All connections share the endpoint's timers."""

    __slots__ = ("_pending", "_reading_paused")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._pending: dict[bytes, _Pending] | None = None  # pings without an answer, oldest first
        self._reading_paused = False  # the app lags: pongs are not seen either

    async def ping(self) -> float:
        """Send a ping and return the round-trip time in seconds. Waits for ever; the caller sets a limit.

        Raises:
            ClientDisconnected: if the connection is not open, or is lost before the pong.
        """
        if self._state is not State.OPEN:
            raise ClientDisconnected
        answered: asyncio.Future[float | None] = self._endpoint.loop.create_future()
        self._send_ping(answered)
        seconds = await answered
        if seconds is None:
            raise ClientDisconnected
        return seconds

    def ping_due(self) -> None:
        """Send the next keepalive ping, unless the last one is still unanswered."""
        pings, pongs = self._endpoint.pings, self._endpoint.pongs
        if self._state is not State.OPEN or pings is None:
            return
        pings.add(self)
        if pongs is None:
            self._forget_keepalive_pings()
        elif self in pongs:
            return
        else:
            pongs.add(self)
        self._send_ping(None)

    def pong_overdue(self) -> None:
        """Cut off a client that did not answer, also when it has stopped reading."""
        if self._state is not State.OPEN:
            return
        if self._reading_paused and self._endpoint.pongs is not None:
            self._endpoint.pongs.add(self)
            return
        self._endpoint.logger.debug("WebSocket keepalive ping timeout")
        if self.buffered():
            self.abort()
            return
        self._write(encode_close(CloseCode.INTERNAL_ERROR, "keepalive ping timeout"))
        self._leave_open(State.ENDING)
        self._transport.close()
        self._endpoint.closing.add(self)

    def _start_keepalive(self) -> None:
        if self._endpoint.pings is not None:
            self._endpoint.pings.add(self)

    def _send_ping(self, answered: asyncio.Future[float | None] | None) -> None:
        payload = random.getrandbits(32).to_bytes(4, "big")  # an answer cannot be guessed ahead
        if self._pending is None:
            self._pending = {}
        self._pending[payload] = (self._endpoint.loop.time(), answered)
        self._write(encode_frame(Opcode.PING, payload))

    def _take_pong(self, payload: bytes) -> None:
        """A pong answers the ping with its payload and all earlier ones (RFC 6455 section 5.5.3)."""
        if self._pending is None or payload not in self._pending:
            return
        now = self._endpoint.loop.time()
        for ping, (sent_at, answered) in list(self._pending.items()):
            del self._pending[ping]
            if answered is not None and not answered.done():
                answered.set_result(now - sent_at)
            if ping == payload:
                break
        if not self._pending:
            self._pending = None
        if self._endpoint.pongs is not None:
            self._endpoint.pongs.discard(self)

    def _forget_keepalive_pings(self) -> None:
        """Without a timeout nobody asks for these answers, and they may never come."""
        if self._pending is not None:
            self._pending = {
                ping: sent for ping, sent in self._pending.items() if sent[1] is not None
            } or None

    def _fail_pings(self) -> None:
        """No pong will come. An exception in the future would hold the frame that waits for it."""
        for _, answered in (self._pending or {}).values():
            if answered is not None and not answered.done():
                answered.set_result(None)
        self._pending = None
