"""Ports for servers that tests start, and that another process opens only later."""

import os
import random
import socket
from contextlib import suppress
from itertools import count

FIRST, LAST = 10_000, 32_767
"""Below those that systems give to clients, and to servers that ask for any port."""

SLICES = 8
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_SIZE = (LAST + 1 - FIRST) // SLICES
_START = random.randrange(_SIZE)
_numbers = count()


def free_port() -> int:
    """A port nobody listens on. No other caller gets it: each process of pytest has its own part of them."""
    while True:
        number = next(_numbers)
        assert number < _SIZE, "all ports have been given away"
        port = FIRST + _WORKER % SLICES * _SIZE + (_START + number) % _SIZE
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
