"""uvicorn's HTTP/1.1 protocol with limits on the request head: time, size and number of headers.

And with an ASGI extension "hubbub.abort": ``scope["extensions"]["hubbub.abort"]["abort"]()`` ends the
connection at once, with whatever the client has not taken yet. ASGI has no word for that.

uvicorn itself waits for ever for the rest of a request; a client that sends none (or one byte a minute) keeps
its connection.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from hubbub.uvicorn.deadlines import DeadlineQueue
from hubbub.uvicorn.handshake import MAX_HEAD, MAX_HEADERS, MAX_LINE
from hubbub.uvicorn.sockets import reset_when_closed

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Base
else:
    _Base = AutoHTTPProtocol

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 17\r\nconnection: close\r\n\r\n"
    b"Headers too large"
)


class LimitedHttpProtocol(_Base):
    """httptools where it is installed, h11 otherwise.

    h11 has a limit on the head's size of its own; the callbacks below are httptools'.

    Args:
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: uvicorn's.
        loop: the event loop.
        heads: closes connections whose request head takes too long.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        heads: DeadlineQueue[Any],
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._heads = heads
        self._in_head = False  # a request has begun and its headers are not complete
        self._head_size = 0  # bytes of it so far
        self._too_large = False  # it broke a limit: the parser's error is answered with 431
        self._refused = False  # the answer is out: what still comes is thrown away

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadline."""
        self._heads.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass bytes to uvicorn. What is part of a head counts against its size and its time."""
        if self._refused:
            return
        only_head = self._in_head or self._is_idle()
        super().data_received(data)
        if self._refused:
            return
        upgraded = self.transport.get_protocol() is not self
        if upgraded or self.transport.is_closing() or not self._is_idle():
            self._heads.discard(self)
        elif self not in self._heads:
            self._heads.add(self)
        if only_head and self._in_head:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD and not self.transport.is_closing():
                self._refuse_head()

    def handle_websocket_upgrade(self, *request: Any) -> None:
        """Hand the connection over, and let go of the parser: it and this object hold each other."""
        self._heads.discard(self)
        super().handle_websocket_upgrade(*request)
        self._in_head = False
        self.parser = None  # type: ignore[assignment]

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        self._head_size = 0
        super().on_message_begin()
        # For responses without an end, whose client reads no more: `asgi.stream_transport` uses it. It finds
        # this object, which holds the scope, through the transport, which lets go of it at the end.
        self.scope["extensions"] = {"hubbub.abort": {"abort": partial(_abort, self.transport)}}

    def on_headers_complete(self) -> None:
        """The head is complete: check it before the app sees the request. An error stops the parser."""
        self._in_head = False
        longest = max((len(value) for _, value in self.headers), default=0)
        if max(longest, len(self.url)) > MAX_LINE or len(self.headers) > MAX_HEADERS:
            self._too_large = True
            raise ValueError("request head too large")
        super().on_headers_complete()

    def abort(self) -> None:
        """End the connection at once.

        With a reset: else the kernel would keep what it has for a client that does not read, and its socket.
        """
        if not self.transport.is_closing():
            reset_when_closed(self.transport)
        self.transport.abort()
        if self.cycle is not None:
            self.cycle.disconnected = True  # the loop tells only later: the app may end before

    def send_400_response(self, msg: str) -> None:
        """Answer a request that the parser refused."""
        if self._too_large:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _refuse_head(self) -> None:
        """Answer 431.

        Closing at once would reset the connection of a client that still sends, and the answer would be lost:
        so only our direction is closed, and the deadline closes the other.
        """
        self._refused = True
        self._heads.add(self)
        self.transport.write(_TOO_LARGE)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()


def _abort(transport: asyncio.Transport) -> None:
    """End the connection at once, unless it has ended."""
    protocol = transport.get_protocol()
    if isinstance(protocol, LimitedHttpProtocol):
        protocol.abort()
