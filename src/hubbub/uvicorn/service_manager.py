"""Telling systemd, or whoever else started the process, that it serves and that it ends.

The protocol is that of sd_notify(3): datagrams to the Unix socket that NOTIFY_SOCKET names.
"""

import os
import socket
import sys
from typing import Final

READY: Final = "READY=1"
"""It takes clients."""

STOPPING: Final = "STOPPING=1"
"""It drains, and ends."""


def notify(state: str) -> None:
    """Say so to the service manager, if there is one. Never raises: whoever does not listen loses nothing."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if sys.platform == "win32" or not name.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(state.encode(), "\0" + name[1:] if name[0] == "@" else name)
        except OSError:  # nobody is there, or its queue is full
            return
