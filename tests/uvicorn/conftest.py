"""Servers and clients that are gone when the test ends."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost with its key, made now."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += [
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout",
        f"{path}.key",
        "-out",
        str(path),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    path.write_text(path.read_text() + Path(f"{path}.key").read_text())
    return path
