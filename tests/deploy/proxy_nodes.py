"""Nodes of `hubbub serve` behind a proxy: each on a port that stays its own when it is started again."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from polling import eventually
from ports import free_port
from server_process import HUBBUB, START_SECONDS, ServerProcess, environment_of

SECRETS = {"HUBBUB_SECRET": "test-secret-0123456789-abcdefghijklm", "HUBBUB_API_KEY": "k" * 8 + "ey" * 12}


class Node:
    """One node."""

    def __init__(self, broker: str, log_file: Path) -> None:
        self.port = free_port()
        self._broker = broker
        self._log_file = log_file
        self._server: ServerProcess | None = None

    @property
    def server(self) -> ServerProcess:
        """The process, which must have been started."""
        assert self._server is not None
        return self._server

    def log(self) -> str:
        """What it has printed so far."""
        return self._log_file.read_text(errors="replace")

    async def start(self) -> None:
        """Start it and wait until it wants clients."""
        self._server = ServerProcess(self._process(), self.port, self._log_file)
        await eventually(self._ready, 2 * START_SECONDS)

    def _process(self) -> "subprocess.Popen[bytes]":
        options = ("--port", str(self.port), "--drain", "1", "--trusted-proxy", "127.0.0.1")
        environment = environment_of({**SECRETS, "HUBBUB_BROKER": self._broker})
        with self._log_file.open("ab") as log:
            command = [*HUBBUB, "serve", *options]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    async def _ready(self) -> bool:
        """Whether it wants clients. It listens before its app has started: until then the answer waits."""
        assert self.server.process.poll() is None, self.log()
        try:
            async with self.server.http(timeout=START_SECONDS) as http:
                return (await http.get("/ready")).status_code == 200
        except httpx.ConnectError:
            await asyncio.sleep(0.1)
            return False

    def terminated(self) -> "asyncio.Task[float]":
        """Tell it to end; the task is done when it has."""
        return asyncio.create_task(asyncio.to_thread(self.server.stop))


@contextmanager
def two_nodes(folder: Path) -> Iterator[tuple[Node, Node]]:
    """Two nodes with one broker, not started yet; what they have logged is clean at the end."""
    from redis_servers import redis_server

    with redis_server("valkey") as broker:
        url = broker.url()
        nodes = Node(url, folder / "node1.log"), Node(url, folder / "node2.log")
        try:
            yield nodes
        finally:
            for node in nodes:
                node.server.stop()
                node.server.check_log()
