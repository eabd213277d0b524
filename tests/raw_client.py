"""A WebSocket client on a bare socket: it decides when it reads, and what it does to the wire."""

import asyncio
import socket
import struct

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

DATA = (Opcode.TEXT, Opcode.BINARY)


class RawClient:
    """One connection. It reads only in `frames` and `close_code`."""

    def __init__(self, sock: socket.socket, protocol: ClientProtocol) -> None:
        self.socket = sock
        self._protocol = protocol

    @classmethod
    async def open(cls, url: str, receive_buffer: int | None = None) -> "RawClient":
        """Connect and shake hands.

        Args:
            url: a ``ws://`` URL.
            receive_buffer: bytes that the kernel may hold for this client; set before the connection is made.
        """
        uri = parse_uri(url)
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (uri.host, uri.port))
        client = cls(sock, ClientProtocol(uri))
        client._protocol.send_request(client._protocol.connect())
        await client._flush()
        while True:
            # Byte by byte: what follows the handshake stays in the kernel until it is asked for.
            client._protocol.receive_data(await loop.sock_recv(sock, 1))
            for event in client._protocol.events_received():
                assert isinstance(event, Response)
                assert event.status_code == 101, event
                return client

    async def send(self, payload: bytes, opcode: Opcode = Opcode.TEXT) -> None:
        """Send one frame, valid or not."""
        self._protocol.send_frame(Frame(opcode, payload))
        await self._flush()

    async def read_to_the_end(self, seconds: float = 10.0) -> tuple[list[bytes], int]:
        """Read until the server ends the connection: the messages, and the close code (1006 for none)."""
        loop = asyncio.get_running_loop()
        messages: list[bytes] = []
        async with asyncio.timeout(seconds):
            while True:
                try:
                    data = await loop.sock_recv(self.socket, 65_536)
                except ConnectionResetError:
                    data = b""
                if data:
                    self._protocol.receive_data(data)
                else:
                    self._protocol.receive_eof()
                frames = [event for event in self._protocol.events_received() if isinstance(event, Frame)]
                messages.extend(bytes(one.data) for one in frames if one.opcode in DATA)
                if self._protocol.close_rcvd is not None:
                    return messages, self._protocol.close_rcvd.code
                if not data:
                    return messages, 1006

    def reset(self) -> None:
        """Vanish: the server's next write meets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Close the socket without a closing handshake."""
        self.socket.close()

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        for data in self._protocol.data_to_send():
            if data:
                await loop.sock_sendall(self.socket, data)


__all__ = ["Opcode", "RawClient"]
