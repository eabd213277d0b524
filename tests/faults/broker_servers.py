"""Real broker servers that a test can kill, start again on the same port, and empty."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nats_servers import NatsServer
from redis_servers import VALKEY, RedisServer

MAX_OUTPUT = 2_097_152
"""Bytes that may wait at the broker for a node before it is cut off."""

CUT_OFF = {"redis": "overcoming of output buffer limits", "nats": "Slow Consumer"}
"""What the log says then."""


@dataclass(frozen=True, slots=True)
class BrokerServer:
    """A server whose data is on disk."""

    kind: str
    server: RedisServer | NatsServer

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port

    def url(self, port: int | None = None) -> str:
        """Where it is, or where a proxy in front of it is."""
        return f"{self.kind}://127.0.0.1:{port or self.port}"

    def start(self) -> None:
        """Start, with what data there is; returns when it answers."""
        self.server.start()

    def kill(self) -> None:
        """End it without a chance to tidy up. What it has acknowledged is on disk."""
        self.server.kill()

    def empty(self) -> None:
        """Forget all data, while it is not running."""
        if isinstance(self.server, NatsServer):
            self.server.lose_data()
        else:
            shutil.rmtree(self.server.folder / "appendonlydir")

    @property
    def cut_offs(self) -> int:
        """How often it has cut off a node that did not read."""
        return (self.server.folder / "server.log").read_text(errors="replace").count(CUT_OFF[self.kind])


def made(kind: str, folder: Path) -> BrokerServer:
    """A server that is not started yet: ``redis`` (Valkey) or ``nats``."""
    if kind == "redis":
        # Written before it answers: with "everysec" that waits while the disk is busy with what was before.
        at_once = ("--appendfsync", "no")
        limit = ("--client-output-buffer-limit", f"pubsub {MAX_OUTPUT} 0 0")
        return BrokerServer(kind, RedisServer(VALKEY, folder, ("--appendonly", "yes", *at_once, *limit)))
    config = folder / "nats.conf"
    config.write_text(f"max_pending: {MAX_OUTPUT}\n")
    return BrokerServer(kind, NatsServer(folder, "-c", str(config)))


@contextmanager
def broker_server(kind: str, folder: Path) -> Iterator[BrokerServer]:
    """A running one, until the end of the block."""
    server = made(kind, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
