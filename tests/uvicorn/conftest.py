"""Servers and clients that are gone when the test ends."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from uvicorn_servers import Process, RawClient, Server, running


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server; all are stopped when the test ends."""
    with ExitStack() as stack:
        yield lambda app, **options: stack.enter_context(running(app, **options))


@pytest.fixture
def spawn() -> Iterator[Callable[..., Process]]:
    """Return a function that starts a server process; what still runs at the end is killed."""
    processes: list[Process] = []

    def start(app: str, *options: str) -> Process:
        processes.append(Process(app, *options))
        return processes[-1]

    yield start
    for one in processes:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate(timeout=20)


@pytest.fixture
async def raw_client() -> AsyncIterator[Any]:
    """Return a function that connects a RawClient to a port."""
    clients: list[RawClient] = []

    async def connect(port: int, tls: ssl.SSLContext | None = None) -> RawClient:
        clients.append(RawClient(*await asyncio.open_connection("127.0.0.1", port, ssl=tls)))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()
