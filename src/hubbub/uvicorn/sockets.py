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
    client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if _TCP_USER_TIMEOUT is not None and isinstance(server, tuple):
        _set(transport, socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(stall_timeout * 1000))
    return (
        client[:2] if isinstance(client, tuple) else None,
        server[:2] if isinstance(server, tuple) else (server, None) if isinstance(server, str) else None,
    )


def reset_when_closed(transport: asyncio.Transport) -> None:
    """Have the kernel throw away what the client has not taken, with a reset, when the socket is closed."""
    _set(transport, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def port_of(listener: socket.socket) -> int:
    """The port of a listening socket; 0 for one of another kind than TCP."""
    address = listener.getsockname()
    return int(address[1]) if isinstance(address, tuple) else 0


def _set(transport: asyncio.Transport, level: int, option: int, value: int | bytes) -> None:
    """Set a socket option; nothing happens where there is no socket, or the client is gone already."""
    given = transport.get_extra_info("socket")
    if given is None:
        return
    # uvloop's own object makes a new socket for this. It takes less with the class below Python's, which asks
    # the kernel nothing when it is told what it is; setting options does not go by that.
    borrowed = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, given.fileno())
    try:
        borrowed.setsockopt(level, option, value)
    except OSError:
        pass
    finally:
        borrowed.detach()
