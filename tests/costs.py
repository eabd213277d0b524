"""Counting what work costs, in instructions and in objects, on connections without a server around them."""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from hubbub.uvicorn import HttpProtocol

REQUEST = (
    b"GET /chat?x=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def masked(text: str) -> bytes:
    """A client's frame with a short text."""
    mask = os.urandom(4)
    payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text.encode()))
    return bytes((0x81, 0x80 | len(payload))) + mask + payload


class Cost:
    """What ran: bytecode instructions, and calls of functions written in C."""

    def __init__(self) -> None:
        self.instructions = 0
        self.calls = 0

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            self.instructions += 1
        return self._trace

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            self.calls += 1

    def of(self, work: Callable[[], object]) -> "Cost":
        """Count what `work` costs."""
        sys.setprofile(self._profile)
        sys.settrace(self._trace)
        try:
            work()
        finally:
            sys.settrace(None)
            sys.setprofile(None)
        return self


class Tally(Cost):
    """What runs while it is open, in whatever task; the event loop's own part does not count."""

    def __enter__(self) -> "Tally":
        assert sys.gettrace() is None  # there is one trace function
        sys.setprofile(self._profile)
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        sys.setprofile(None)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        return None if _is_of_the_loop(frame) else super()._trace(frame, event, argument)

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if not _is_of_the_loop(frame):
            super()._profile(frame, event, argument)


def _is_of_the_loop(frame: FrameType) -> bool:
    return frame.f_globals["__name__"].partition(".")[0] in ("asyncio", "selectors")


def collected() -> int:
    """How many objects the garbage collector has to look at."""
    gc.collect()  # it forgets what cannot be part of a cycle
    return len(gc.get_objects())


class Bare:
    """A bare ASGI app that has accepted nothing yet: it only notes its scope, and lets the test send."""

    def __init__(self) -> None:
        self.receive: Any = None
        self.send: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.receive, self.send = receive, send
        await asyncio.get_running_loop().create_future()


class Site:
    """What uvicorn has for one server: the connections share it."""

    def __init__(self) -> None:
        self.app = Bare()
        self.state = ServerState()
        self.config = Config(
            self.app, http=HttpProtocol, ws="hubbub.uvicorn:WebSocketProtocol", log_config=None
        )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[Any, socket.socket]]:
        """A connection whose client has sent nothing yet, and the client's socket."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            there = socket.create_connection(listener.getsockname())
            here, _ = listener.accept()
        transport, door = await asyncio.get_running_loop().connect_accepted_socket(
            lambda: HttpProtocol(self.config, self.state, {}), here
        )
        try:
            yield door, there
        finally:
            for task in self.state.tasks:
                task.cancel()
            transport.abort()
            there.close()
