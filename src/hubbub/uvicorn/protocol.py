"""The WebSocket protocol class for uvicorn: bytes in, from the handshake to the last frame."""

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from hubbub.core.deflate import inflate_message
from hubbub.core.errors import CloseCode
from hubbub.core.frame_parser import FrameParser
from hubbub.core.frames import Close, Event, Opcode, Ping, Pong, Violation, encode_frame
from hubbub.core.last_frames import LastFrames
from hubbub.uvicorn.application import ApplicationSide
from hubbub.uvicorn.endpoint import Endpoint, SocketLimits
from hubbub.uvicorn.handshake import MAX_HEAD, HandshakeError, parse_request
from hubbub.uvicorn.redaction import redacted_path
from hubbub.uvicorn.sockets import set_up_socket
from hubbub.uvicorn.writer import State

try:  # in C: an eighth of the time for 128 bytes
    from websockets.speedups import apply_mask as _unmask
except ImportError:
    from hubbub.core.frames import apply_mask as _unmask  # type: ignore[assignment]  # C takes more types

_OPEN: Final = State.OPEN
_HEARD: Final = frozenset((State.OPEN, State.CLOSING))
"""States in which frames are taken."""


class WebSocketProtocol(ApplicationSide):
    """A lean WebSocket protocol class: `uvicorn app:app --ws hubbub.uvicorn:WebSocketProtocol`.

    A drop-in for any ASGI app. What it does beyond uvicorn's own is in `SocketLimits`; permessage-deflate is
    in `DeflateWebSocketProtocol`.
    """

    __slots__ = ("_control_due", "_early", "_head", "_http", "_parser")

    limits: ClassVar[SocketLimits] = SocketLimits()
    """A subclass may set others."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(Endpoint.of(config, server_state, app_state, self.limits))
        self._parser: FrameParser | LastFrames | None = None  # None until the first frame
        self._early = b""  # the request so far; after it, what came before the app accepted
        self._head: bytes | None = None  # the request, while it waits for its turn
        self._control_due = 0.0  # when the next control frame would be on time at the allowed rate
        self._http: asyncio.BaseProtocol | None = None  # uvicorn's HTTP protocol, until the request is read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the HTTP protocol when it has seen an upgrade request."""
        self._attach(transport)
        self._http = transport.get_protocol()
        self._endpoint.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Called with the request first, then with frames."""
        parser = self._parser
        if parser is None:
            self._receive_early(data)
            return
        message = parser.take_message(data)
        if message is not None:
            if self._state is _OPEN:
                key = "text" if type(message) is str else "bytes"
                self._deliver({"type": "websocket.receive", key: message}, len(message))
            return
        for event in parser.feed(data):
            self._take_event(event)
        if parser.has_more:
            self._parse_rest()

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops: clients are closed with 1012."""
        if self._state in (State.CONNECTING, State.RESPONDING):
            self._refuse(503)
        else:
            self._leave()

    def receive_request(self, head: bytes) -> None:
        """Take the request, from its first line to the empty one, or have it wait for its turn."""
        admission = self._endpoint.admission
        if admission.may_begin():
            self._take_request(head)
        elif admission.full:
            self._turn_away(head)
        else:
            self._head = head
            self._transport.pause_reading()  # there is nothing to say before the answer
            admission.wait(self.begin)

    def begin(self) -> None:
        """It is the turn of the request that waited, if the client and the server still want it."""
        head, self._head = self._head, None
        if head is not None and self._state is State.CONNECTING and not self._transport.is_closing():
            self._transport.resume_reading()
            self._take_request(head)

    def begin_parsing(self) -> None:
        """It is the turn of the first frame that waited."""
        early, self._early = self._early, b""
        if self._state in _HEARD and not self._transport.is_closing():
            self._transport.resume_reading()
            self._start_parsing()
            self.data_received(early)

    def _take_request(self, head: bytes) -> None:
        client, server = set_up_socket(self._transport, self._endpoint.limits.stall_timeout)
        http, self._http = self._http, None
        scope = getattr(http, "scope", None)
        try:
            if scope and scope["http_version"] == "1.0":  # uvicorn passes the request on as HTTP/1.1
                raise HandshakeError(400, "WebSocket needs HTTP/1.1")
            request = parse_request(head)
        except HandshakeError as error:
            self._log_refusal(head, error.status)
            self._refuse(error.status, str(error).encode("ascii"), error.headers)
            return
        if self._endpoint.draining:
            self._turn_away(head)
            return
        self._start_app(request, client, server)

    def _turn_away(self, head: bytes) -> None:
        """The client is to try another server, or this one a little later."""
        self._log_refusal(head, 503)
        self._refuse(503, b"Service Unavailable", ((b"retry-after", b"1"),))

    def _receive_early(self, data: bytes) -> None:
        """Take the first frame, or the request, or keep what comes before the app has accepted it."""
        if self._state in _HEARD:
            self._receive_first(data)
            return
        if self._state not in (State.CONNECTING, State.RESPONDING):
            return
        self._early += data
        if self._exchange is not None or self._head is not None:
            if len(self._early) > self._endpoint.limits.early_bytes:
                self.abort()
            return
        head, end, rest = self._early.partition(b"\r\n\r\n")
        if end:
            self._early = rest
            self.receive_request(head + end)
        elif len(self._early) > MAX_HEAD:
            self._refuse(431)

    def _receive_first(self, data: bytes) -> None:
        """Take the first frame, or have it wait for its turn: clients that come back ask there for much."""
        first_frames = self._endpoint.first_frames
        if self._early:  # it waits already
            self._early += data
        elif first_frames.full or first_frames.may_begin():
            self._start_parsing()
            self.data_received(data)
        else:
            self._early = data
            self._transport.pause_reading()
            first_frames.wait(self.begin_parsing)

    def _log_refusal(self, head: bytes, status: int) -> None:
        target = head.partition(b"\r\n")[0].split(b" ")[1:2] or [b""]
        path, _, query = target[0].partition(b"?")
        line = redacted_path(path.decode("ascii", "backslashreplace"), query)
        self._endpoint.logger.info('%s - "WebSocket %s" %d', self._peer(), line, status)

    def _start_close(self, code: int, reason: str) -> None:
        """Close; a client that goes on sending is not heard for long."""
        super()._start_close(code, reason)
        if isinstance(self._parser, FrameParser):
            self._parser = LastFrames(self._parser, self._endpoint.limits.closing_bytes)

    def _opened(self) -> None:
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)

    def _start_parsing(self) -> None:
        """The first frame is there: a client that only listens needs no parser."""
        endpoint = self._endpoint
        max_size = endpoint.max_size
        inflate = None
        if self._window_bits:

            def inflate(payload: bytes) -> bytes:
                return inflate_message(payload, max_size)

        self._parser = FrameParser(max_size, endpoint.limits.fragments, inflate, _unmask)

    def _parse_rest(self) -> None:
        """Go through frames that are here already, until they end or the app lags."""
        parser = self._parser
        while parser is not None and parser.has_more and not self._reading_paused:
            for event in parser.feed(b""):
                self._take_event(event)

    def _take_event(self, event: Event) -> None:
        if isinstance(event, bytes):
            if self._state is _OPEN:
                self._deliver({"type": "websocket.receive", "bytes": event}, len(event))
        elif isinstance(event, str):
            if self._state is _OPEN:
                self._deliver({"type": "websocket.receive", "text": event}, len(event))
        elif isinstance(event, Close):
            self._answer_close(event)
        elif isinstance(event, Violation):
            self._fail(event.code, event.reason)
        elif self._state is _OPEN:
            self._take_control(event)

    def _take_control(self, event: Ping | Pong) -> None:
        """Answer a ping, note a pong, and hold the client to the allowed rate of both."""
        limits = self._endpoint.limits
        now = self._endpoint.loop.time()
        self._control_due = max(self._control_due, now) + 1 / limits.control_rate
        if self._control_due - now > limits.control_burst / limits.control_rate:
            self._fail(CloseCode.POLICY_VIOLATION, "too many control frames")
        elif isinstance(event, Ping):
            self._write(encode_frame(Opcode.PONG, event.payload))
        else:
            self._take_pong(event.payload)


class DeflateWebSocketProtocol(WebSocketProtocol):
    """The same with permessage-deflate (RFC 7692), without context takeover and with bounded inflation.

    `uvicorn app:app --ws hubbub.uvicorn:DeflateWebSocketProtocol`. uvicorn's own option
    `--ws-per-message-deflate false` turns it off again.
    """

    __slots__ = ()

    permessage_deflate = True
