"""A real uvicorn on a real socket, in a thread or as a process of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

OURS = "hubbub.uvicorn:WebSocketProtocol"


class Server:
    """uvicorn in a thread, with its own event loop. `state` is uvicorn's ServerState."""

    def __init__(self, app: Any, listener: socket.socket | None = None, **options: Any) -> None:
        options = {
            "ws": OURS,
            "http": "httptools",
            "loop": "uvloop",
            "lifespan": "off",
            "interface": "asgi3",
            **options,
        }
        self.config = uvicorn.Config(app, log_config=None, **options)
        self.server = uvicorn.Server(self.config)
        self.state = self.server.server_state
        self.socket = listener or socket.create_server(("127.0.0.1", 0))
        self.port: int = 0 if listener else self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.thread.start()
        wait_until(lambda: self.server.started, "the server starts")

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive(), "the server did not stop within 20 s"
        self.socket.close()

    def is_empty(self) -> bool:
        """Whether no connection and no task is left."""
        return not self.state.connections and not self.state.tasks


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 10) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


async def eventually(condition: Callable[[], bool], what: str, seconds: float = 10) -> None:
    """The same without blocking the event loop of the test."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)


@contextmanager
def running(app: Any, listener: socket.socket | None = None, **options: Any) -> Iterator[Server]:
    server = Server(app, listener, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Process:
    """uvicorn as a process, for signals and for memory."""

    def __init__(self, app: str, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", app, "--app-dir", str(Path(__file__).parent)]
        command += ["--port", str(self.port), "--lifespan", "off", "--ws", OURS, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wait_until(self._answers, "the server process listens", 20)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def memory(self) -> int:
        """Return the resident memory in bytes (Linux)."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def terminate(self) -> str:
        """Send SIGTERM, wait for the end and return what was logged."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=20)
        return output.decode()


HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
)


class RawClient:
    """A client that can misbehave: it sends bytes, and reads bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def upgrade(self, path: str = "/", more: str = "") -> bytes:
        """Send a correct handshake and return the response's head."""
        await self.send(HANDSHAKE.format(path=path, more=more).encode())
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)

    async def frame(self) -> tuple[int, bytes]:
        """Return opcode byte and payload of the next frame from the server."""
        first, size = await asyncio.wait_for(self.reader.readexactly(2), 10)
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8), "big")
        return first, await asyncio.wait_for(self.reader.readexactly(size), 10)

    async def closed(self) -> tuple[int, str]:
        """Skip messages and return code and reason of the server's close frame; then the connection ends."""
        while True:
            first, payload = await self.frame()
            if first == 0x88:
                break
        await self.ended()
        return int.from_bytes(payload[:2] or b"\x03\xed", "big"), payload[2:].decode()

    async def ended(self, seconds: float = 10) -> bytes:
        """Wait until the server has closed the TCP connection and return what it still sent."""
        try:
            return await asyncio.wait_for(self.reader.read(-1), seconds)
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        self.writer.close()


def frame_of(first: int, payload: bytes = b"") -> bytes:
    """Return a client frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 65_536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes((first,)) + length + bytes(4) + payload


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


def after_accept(action: Callable[[Any, Any], Any]) -> Any:
    """Return an app that accepts and then does `action(receive, send)`."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await action(receive, send)

    return app
