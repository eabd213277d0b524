"""A thousand clients in one process that check every byte they get, cheaply."""

import asyncio
import base64
import os
import socket
import struct
from collections.abc import Callable

from hubbub.core.frames import Opcode, encode_frame


class Member(asyncio.Protocol):
    """A client that knows what is coming: it compares, and parses nothing.

    Args:
        path: what it asks for.
        stream: every byte that is sent to the room, from the first message on.
    """

    def __init__(self, path: str, stream: bytearray) -> None:
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        )
        self._head = b""  # of the answer, until it is complete
        self._stream = stream
        self.shaken = False
        self.start: int | None = None  # where in the stream it came in; None before its first byte
        self.position = 0
        self.fault: str | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        if not self.shaken:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self.shaken = True
            if not head.startswith(b"HTTP/1.1 101"):
                self.fault = head.decode()
        if not data or self.fault:
            return
        if self.start is None:
            self.start = self.position = self._stream.find(data[:FRAME_MARK])
        end_position = self.position + len(data)
        if self._stream[self.position : end_position] != data:
            self.fault = f"not what was sent at byte {self.position}"
        self.position = end_position

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None

    def leave(self) -> None:
        """Say goodbye with a close frame, masked with zeros (RFC 6455 section 5.3)."""
        if self.transport is not None:
            self.transport.write(b"\x88\x82\x00\x00\x00\x00\x03\xe8")

    def drop(self) -> None:
        """Vanish with a TCP reset, if it is still there."""
        if self.transport is not None:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


FRAME_MARK = 16
"""Bytes of a frame by which it is recognised: its head and the message's number."""


def frame(number: int, size: int) -> bytes:
    """The frame of one message, told by its number."""
    return encode_frame(Opcode.TEXT, text(number, size).encode())


def text(number: int, size: int) -> str:
    """One message of `size` bytes."""
    return f"{number:08}".ljust(size, ".")


async def come(port: int, count: int, make: Callable[[], Member], at_once: int = 50) -> list[Member]:
    """Connect so many members; each has its answer to the handshake."""
    loop = asyncio.get_running_loop()
    members: list[Member] = []
    while len(members) < count:
        batch = min(at_once, count - len(members))
        made = await asyncio.gather(*(loop.create_connection(make, "127.0.0.1", port) for _ in range(batch)))
        members.extend(member for _, member in made)
    return members
