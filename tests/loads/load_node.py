"""A node under load: the app of the fault tests, at a port that stays the same when it is started again."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nodes import nodes
from ports import free_port
from publishers import HttpLink
from server_process import ServerProcess

STOP = 30.0
"""Seconds from SIGTERM to the end of the process, as the server promises."""


class Node:
    """One process. Its starts and stops wait in a thread, so that the clients go on.

    Args:
        broker: the broker's URL.
        folder: for its logs.
        options: of `nodes.nodes`.
    """

    def __init__(self, broker: str, folder: Path, **options: Any) -> None:
        self.port = free_port()
        self._broker = broker
        self._folder = folder
        self._options = options
        self._starts = 0
        self._stack = ExitStack()
        self.server: ServerProcess

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self._starts += 1
        name = f"{self.port}-{self._starts}"
        made = nodes(self._broker, self._folder, 1, name, port=self.port, **self._options)
        self.server = await asyncio.to_thread(self._stack.enter_context, made)

    async def stop(self) -> float:
        """SIGTERM, and wait for the end; its log must be clean. Returns the seconds."""
        seconds = await asyncio.to_thread(self.server.stop, within=STOP)
        self._stack.close()
        return seconds

    async def kill(self) -> None:
        """End it without a chance to tidy up."""
        self.server.process.kill()
        await asyncio.to_thread(self._stack.close)

    async def state(self) -> dict[str, Any]:
        """What it has."""
        return await self.get("/state")

    async def get(self, path: str) -> dict[str, Any]:
        """The answer to a request."""
        link = HttpLink(self.port)
        try:
            status, answer = await link.request("GET", path)
        finally:
            link.close()
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer
