"""The socket below a connection: who is at its ends, and how long it may stall."""

import asyncio
import socket
import struct
from typing import Final

Address = tuple[str, int | None] | None
"""An address as ASGI has it: host and port, a path and None, or None where it is not known."""

_TCP_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)


def set_up_socket(transport: asyncio.Transport, stall_timeout: float) -> tuple[Address, Address]:
    """Limit how many seconds sent data may stay unacknowledged; return client's and server's address."""
    given = transport.get_extra_info("socket")
    if given is None:
        return None, None
    # uvloop's object makes a new socket for each question. One is enough, of the class below Python's own.
    borrowed = socket.SocketType(fileno=given.fileno())
    try:
        client, server = borrowed.getpeername(), borrowed.getsockname()
        if _TCP_USER_TIMEOUT is not None and isinstance(server, tuple):
            borrowed.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(stall_timeout * 1000))
    except OSError:  # the client is gone already
        return None, None
    finally:
        borrowed.detach()
    return (
        client[:2] if isinstance(client, tuple) else None,
        server[:2] if isinstance(server, tuple) else (server, None) if isinstance(server, str) else None,
    )


def reset_when_closed(transport: asyncio.Transport) -> None:
    """Have the kernel throw away what the client has not taken, with a reset, when the socket is closed."""
    given = transport.get_extra_info("socket")
    if given is None:
        return
    borrowed = socket.SocketType(fileno=given.fileno())
    try:
        borrowed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:  # the client is gone already
        pass
    finally:
        borrowed.detach()


def port_of(listener: socket.socket) -> int:
    """The port of a listening socket; 0 for one of another kind than TCP."""
    address = listener.getsockname()
    return int(address[1]) if isinstance(address, tuple) else 0
