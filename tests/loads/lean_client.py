"""A WebSocket client that costs next to nothing, so that thousands fit into the tests' process."""

import asyncio
import base64
import os
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import uvloop

T = TypeVar("T")

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
OPEN_SECONDS = 10.0
"""Longest handshake."""

NO_CLOSE_FRAME = 1006


def run(load: Coroutine[Any, Any, T]) -> T:
    """Run to the end, on the quickest event loop there is."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(load)


class LeanClient(asyncio.Protocol):
    """One connection. Compression and fragments are not understood, and nothing of ours makes them.

    Args:
        path: what it asks for.
        hear: called with each message.
        ended: called once when an open connection has ended, with the close code.
        address: where it says that it is, as a proxy would; None for nowhere else than here.
    """

    __slots__ = ("_address", "_ended", "_hear", "_opened", "_path", "_rest", "code", "shaken", "transport")

    def __init__(
        self,
        path: str,
        hear: Callable[[bytes], None],
        ended: Callable[[int], None],
        address: str | None = None,
    ) -> None:
        self._path = path
        self._address = address
        self._hear = hear
        self._ended = ended
        self._rest = b""
        self._opened = asyncio.get_running_loop().create_future()
        self.shaken = False
        self.code = NO_CLOSE_FRAME
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the WebSocket."""
        # uvloop's transports have the methods of `asyncio.Transport`, but are none.
        self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        forwarded = f"X-Forwarded-For: {self._address}\r\n" if self._address else ""
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{forwarded}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take the answer to the handshake, then frames."""
        data = self._rest + data
        if not self.shaken:
            head, end, rest = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = data
                return
            status = head.split(b" ", 2)[1]
            if status != b"101":
                self._refused(OSError(f"refused with {status.decode()}"))
                return
            self.shaken, data = True, rest
            if not self._opened.done():
                self._opened.set_result(None)
        self._rest = self._take_frames(data)

    def _take_frames(self, data: bytes) -> bytes:
        """Take the whole frames; return what is left."""
        at, length = 0, len(data)
        while length - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                start = at + 4
                size = int.from_bytes(data[at + 2 : start])
            elif size == 127:
                start = at + 10
                size = int.from_bytes(data[at + 2 : start])
            if length < start + size:
                break
            self._take(data[at] & 15, data[start : start + size])
            at = start + size
        return data[at:]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._hear(payload)
        elif opcode == PING:
            self._send(PONG, payload)
        elif opcode == CLOSE:
            self.code = int.from_bytes(payload[:2]) if payload else NO_CLOSE_FRAME
            self._send(CLOSE, payload[:2])
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """It has ended."""
        self._refused(ConnectionResetError("closed in the handshake"))
        if self.shaken:
            self._ended(self.code)

    def _refused(self, error: OSError) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)
        if not self.shaken:
            self.transport.abort()

    def say(self, text: str) -> None:
        """Send a message."""
        self._send(TEXT, text.encode())

    def leave(self) -> None:
        """Begin the closing handshake."""
        self._send(CLOSE, b"\x03\xe8")

    def drop(self) -> None:
        """Vanish with a TCP reset."""
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _send(self, opcode: int, payload: bytes) -> None:
        # The key of the mask is 0, which RFC 6455 section 5.3 does not forbid, so that nothing is computed.
        size = len(payload)
        head = (
            bytes((0x80 | opcode, 0x80 | size))
            if size < 126
            else struct.pack("!BBH", 0x80 | opcode, 254, size)
        )
        self.transport.write(head + bytes(4) + payload)

    async def opened(self) -> None:
        """Wait for the answer to the handshake.

        Raises:
            OSError: if it is not the right one.
        """
        await self._opened


async def connect(
    port: int,
    path: str,
    hear: Callable[[bytes], None],
    ended: Callable[[int], None],
    address: str | None = None,
) -> LeanClient:
    """Open a connection.

    Raises:
        OSError, TimeoutError: if that does not succeed.
    """
    client: LeanClient | None = None
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: LeanClient(path, hear, ended, address), "127.0.0.1", port
            )
            await client.opened()
    except BaseException:
        if client is not None:
            client.transport.abort()
        raise
    return client
