"""Responses that do not end by themselves, when their server stops.

uvicorn waits for every response. Of one that goes on as long as its client stays, like server-sent events, it
would wait for the end of its patience, and a deploy with it. So such responses are ended here.

An app that has something to say before uses an ASGI extension: what it gives to
``scope["extensions"]["hubbub.leave"]["on_leave"]`` is called instead, and has to end the response.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from hubbub.uvicorn.endpoint import DRAIN, Drain
from hubbub.uvicorn.http_heads import LimitedHttpProtocol

LEAVE: Final = "hubbub.leave"
"""The name of the extension."""

LAST_BYTES: Final = 2.0
"""Seconds that a client may take for what is sent already, before its connection is dropped."""

_EVENT_STREAM: Final = b"text/event-stream"
_LAST_CHUNK: Final = b"0\r\n\r\n"


class HttpResponseProtocol(LimitedHttpProtocol):
    """uvicorn's HTTP protocol, whose responses can be ended from outside."""

    _leaving: tuple[object, Callable[[], None]] | None = None
    """Stands for a request, and what its app wants to be called."""

    @property
    def returns(self) -> bool:
        """Whether the client comes back by itself after the end of the response that it reads now.

        So do an EventSource, which asks for ``text/event-stream``, and whoever uses the extension.
        """
        return self.endless and (self._last_words is not None or self._asks_for_events)

    @property
    def endless(self) -> bool:
        """Whether a response has begun that has not said how long it is."""
        cycle = self.cycle
        if cycle is None or not cycle.response_started or cycle.response_complete:
            return False
        # h11 keeps that to itself: there only those are known that say so.
        chunked: bool | None = getattr(cycle, "chunked_encoding", None)
        return self._last_words is not None or self._asks_for_events if chunked is None else chunked

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        request = object()  # in place of the scope, which would hold itself
        on_leave = partial(_on_leave, self.transport, request)
        self.scope["extensions"][LEAVE] = {"on_leave": on_leave, "request": request}

    def shutdown(self) -> None:
        """Called when the server stops, and for one after the other while it drains."""
        if self.returns:
            self.end_response()
        else:
            super().shutdown()

    def end_response(self) -> None:
        """End it: the app sees ``http.disconnect``, unless it wants to say something before."""
        last_words = self._last_words
        if last_words is not None:
            last_words()
            return
        cycle, transport = self.cycle, self.transport
        if cycle is None or transport.is_closing():
            return
        cycle.disconnected = True
        cycle.message_event.set()
        # Events are complete one by one. Of anything else the client has to see that the rest is missing.
        if self._asks_for_events and getattr(cycle, "chunked_encoding", None):
            transport.write(_LAST_CHUNK)
        transport.close()
        self.loop.call_later(LAST_BYTES, transport.abort)

    @property
    def _last_words(self) -> Callable[[], None] | None:
        cycle, leaving = self.cycle, self._leaving
        if cycle is None or leaving is None:
            return None
        extensions: Any = cycle.scope["extensions"]
        return leaving[1] if leaving[0] is extensions[LEAVE]["request"] else None

    @property
    def _asks_for_events(self) -> bool:
        return self.cycle is not None and any(
            name == b"accept" and _EVENT_STREAM in value for name, value in self.cycle.scope["headers"]
        )

    def leave_with(self, request: object, say: Callable[[], None]) -> None:
        """Have that called in place of ending the response to that request."""
        self._leaving = (request, say)
        drain: Drain | None = self.app_state.get(DRAIN)
        if drain is not None and drain.active:  # it has come too late
            self.loop.call_soon(say)


def _on_leave(transport: asyncio.Transport, request: object, say: Callable[[], None]) -> None:
    """Tell the connection, if it has not ended. It holds the scope, so the scope must not hold it."""
    protocol = transport.get_protocol()
    if isinstance(protocol, HttpResponseProtocol):
        protocol.leave_with(request, say)
