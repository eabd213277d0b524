"""A client that says bytes and goes. It waits in a thread, and leaves nothing to the garbage collector."""

import re
import socket
import struct
from types import TracebackType
from typing import Self

from costs import REQUEST, masked

CLOSE = b"\x88\x82\x00\x00\x00\x00" + struct.pack("!H", 1000)
"""A client's close frame, with a mask of zeros."""

SECONDS = 10.0


class BluntClient:
    """One TCP connection, as a context manager.

    Args:
        port: of a server on this machine.
        receive_buffer: bytes that the kernel may hold for it; as many as it likes unless given.
    """

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self.port = port
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(SECONDS)
        self._socket.connect(("127.0.0.1", port))
        self._heard = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(data)

    def ask(self, target: str, *headers: bytes) -> None:
        """Send a handshake with further headers."""
        lines = b"".join(header + b"\r\n" for header in headers)
        self.say(
            REQUEST.replace(b"/chat?x=1", target.encode()).replace(b"\r\n\r\n", b"\r\n" + lines + b"\r\n")
        )

    def open(self, target: str) -> None:
        """Shake hands, with success."""
        self.ask(target)
        self.wait_for(rb"HTTP/1.1 101 .*?\r\n\r\n")

    def tell(self, *texts: str) -> None:
        """Send text frames."""
        self.say(b"".join(map(masked, texts)))

    def post(self, path: str, body: bytes) -> None:
        """Send a request with JSON."""
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self.say(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def wait_for(self, pattern: bytes) -> list[bytes]:
        """Read until it has come, and return its groups; what came before it is forgotten."""
        while (found := re.search(pattern, self._heard, re.DOTALL)) is None:
            data = self._socket.recv(65_536)
            assert data, f"the end came in place of {pattern!r}, after {self._heard!r}"
            self._heard += data
        self._heard = self._heard[found.end() :]
        return list(found.groups())

    def wait_for_end(self) -> None:
        """Read until the server has closed."""
        try:
            while self._socket.recv(65_536):
                pass
        except ConnectionResetError:
            pass

    def close(self) -> None:
        """Send a close frame, and wait for the end."""
        self.say(CLOSE)
        self.wait_for_end()

    def answer_close(self) -> None:
        """Wait for the server's close frame, answer it, and wait for the end."""
        self.wait_for(rb"\x88[\x00-\x7d]")
        self.close()

    def reset(self) -> None:
        """Vanish: the server's next write meets a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
