"""Counting what work costs, in instructions and in objects, on connections without a server around them."""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import PurePath
from types import CodeType, FrameType
from typing import Any, Final

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


if sys.version_info >= (3, 12):
    _TOOL: Final = 4
    _INSTRUCTION: Final = sys.monitoring.events.INSTRUCTION


class Cost:
    """What ran: bytecode instructions, and calls of functions written in C."""

    def __init__(self) -> None:
        self.instructions = 0
        self.calls = 0

    def _counts(self, code: CodeType) -> bool:
        """Whether it counts: this file does not."""
        return code.co_filename != __file__

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not self._counts(frame.f_code):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            self.instructions += 1
        return self._trace

    def _instruction(self, code: CodeType, offset: int) -> None:
        self.instructions += self._counts(code)

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        self.calls += event == "c_call" and self._counts(frame.f_code)

    def of(self, work: Callable[[], object]) -> "Cost":
        """Count what `work` costs."""
        self._begin()
        try:
            work()
        finally:
            self._end()
        return self

    def _begin(self) -> None:
        gc.disable()  # what others left is not what this work costs
        if sys.version_info >= (3, 12):  # there, tracing misses what code does the first time that it runs
            sys.monitoring.use_tool_id(_TOOL, "cost")
            sys.monitoring.register_callback(_TOOL, _INSTRUCTION, self._instruction)
            sys.monitoring.set_events(_TOOL, _INSTRUCTION)
        else:
            sys.settrace(self._trace)
        sys.setprofile(self._profile)

    def _end(self) -> None:
        sys.setprofile(None)
        if sys.version_info >= (3, 12):
            sys.monitoring.set_events(_TOOL, 0)
            sys.monitoring.free_tool_id(_TOOL)
        else:
            sys.settrace(None)
        gc.enable()


class Tally(Cost):
    """What runs while it is open, in whatever task; the event loop's own part does not count."""

    def __enter__(self) -> "Tally":
        assert sys.gettrace() is None  # there is one trace function
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _counts(self, code: CodeType) -> bool:
        return super()._counts(code) and not _is_of_the_loop(code)


@cache
def _is_of_the_loop(code: CodeType) -> bool:
    file = PurePath(code.co_filename)
    return file.parent.name == "asyncio" or file.name == "selectors.py"


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
