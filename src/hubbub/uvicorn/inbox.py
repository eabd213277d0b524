"""The incoming half of the ASGI side: events wait here until the app calls receive()."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.utils import ClientDisconnected

from hubbub.core.errors import CloseCode
from hubbub.uvicorn.endpoint import Endpoint
from hubbub.uvicorn.keepalive import KeepaliveWriter
from hubbub.uvicorn.writer import State

Message = dict[str, Any]
"""An ASGI message."""

_LOST: Final = State.LOST


class Inbox(KeepaliveWriter):
    """A queue of ASGI messages with read flow control.

    A message goes straight to a waiting receive(). Of those that find none, the first waits in a field of its
    own, and only further ones in a queue. Past the bounds the socket is not read until the app has caught up.
    """

    __slots__ = ("_create_future", "_next", "_queue", "_queued_bytes", "_waiter")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._create_future: Callable[[], asyncio.Future[Message]] = endpoint.create_future
        self._next: Message | None = None  # what the next receive() returns
        self._queue: deque[Message] | None = None  # what comes after it; None while nothing does
        self._queued_bytes = 0  # the payloads of all that waits; text counts in characters
        self._waiter: asyncio.Future[Message] | None = None  # of the receive() that waits

    async def receive(self) -> Message:
        """The app's `receive`: return the next event.

        Raises:
            ClientDisconnected: if the connection is lost and every event was taken: there will be none.
        """
        while True:
            if self._next is not None:
                if self._queue is not None and not self._endpoint.messages.take():
                    await asyncio.sleep(0)  # the others' turn; after it one is taken without asking
                    if self._next is None:  # by another task of the app
                        continue
                return self._take(self._next)
            if self._state is _LOST:
                raise ClientDisconnected
            if self._waiter is not None:  # another task of the app is in receive(): after it
                await asyncio.wait((self._waiter,))
                continue
            self._waiter = waiter = self._create_future()
            try:
                message = await waiter
            except asyncio.CancelledError:
                self._waiter = None
                if not waiter.cancelled():
                    self._put_back(waiter.result())
                raise
            self._waiter = None
            return message

    def end_receive(self) -> None:
        """Have a receive() that waits return a disconnect event now: the hub has given the client up."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result({"type": "websocket.disconnect", "code": int(CloseCode.ABNORMAL)})

    def _deliver(self, message: Message, size: int = 0) -> None:
        """Give an event to the app; `size` is what it adds to the queue's bytes."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(message)
            return
        if self._next is None:
            self._next = message
        elif self._queue is None:
            self._queue = deque((message,))
        else:
            self._queue.append(message)
        self._queued_bytes += size
        if not self._reading_paused and self._over(
            self._endpoint.max_queue, self._endpoint.limits.queued_bytes
        ):
            self._pause_reading()

    def _put_back(self, message: Message) -> None:
        """The receive() that this message was handed to was cancelled before it could return it."""
        if self._next is not None:
            if self._queue is None:
                self._queue = deque()
            self._queue.appendleft(self._next)
        self._next = message
        self._queued_bytes += _size(message)

    def _take(self, message: Message) -> Message:
        if self._queue is None:
            self._next = None
        else:
            self._next = self._queue.popleft()
            if not self._queue:
                self._queue = None
        if self._queued_bytes:
            self._queued_bytes -= _size(message)
        if self._reading_paused and not self._over(
            self._endpoint.max_queue // 2, self._endpoint.limits.queued_bytes // 2
        ):
            self._resume_reading()
        return message

    def _over(self, messages: int, size: int) -> bool:
        waiting = 0 if self._next is None else 1 if self._queue is None else 1 + len(self._queue)
        return waiting > messages or self._queued_bytes > size

    def _pause_reading(self) -> None:
        self._reading_paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        """Go on with what was received already, then with the socket."""
        self._reading_paused = False
        self._parse_rest()
        if not self._reading_paused and not self._transport.is_closing():
            self._transport.resume_reading()

    def _parse_rest(self) -> None:
        """Parse bytes that arrived before reading was paused."""
        raise NotImplementedError


def _size(message: Message) -> int:
    payload = message.get("text") or message.get("bytes")
    return len(payload) if payload else 0
