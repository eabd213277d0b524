"""Servers with the API, alone or as two nodes of a cluster, and the official library to ask them."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cent
import httpx
from gateway_sdk import SECRET, Server
from redis_servers import RedisServer, redis_server, wait_until
from server_process import UVICORN, running

KEY = secrets.token_urlsafe(32)
OLD_KEY = secrets.token_urlsafe(32)
COMMAND = (
    *UVICORN,
    *("--app-dir", "tests/gateway", "api_app:app"),
    *("--ws", "hubbub.uvicorn:WebSocketProtocol", "--log-level", "info"),
)

StartNode = Callable[..., AbstractContextManager[Server]]


def starter(folder: Callable[[str], Path]) -> StartNode:
    """Starts servers that log into folders of their own."""

    def start(
        broker: str, more: Mapping[str, str] | None = None, command: Sequence[str] = COMMAND
    ) -> AbstractContextManager[Server]:
        environment = {"GATEWAY_SECRET": SECRET, "API_KEYS": f"{KEY} {OLD_KEY}", "API_BROKER": broker}
        return running(command, folder("api") / "server.log", {**environment, **(more or {})})

    return start


@dataclass(frozen=True, slots=True)
class Cluster:
    """Two nodes over one Valkey, and how to start a third."""

    near: Server
    far: Server
    valkey: RedisServer
    url: str
    start: StartNode


@contextmanager
def cluster(start: StartNode) -> Iterator[Cluster]:
    """Two nodes that know each other."""
    with ExitStack() as stack:
        valkey = stack.enter_context(redis_server("valkey"))
        url = valkey.url()
        near, far = (stack.enter_context(start(url)) for _ in range(2))
        wait_for_nodes(2, near, far)
        yield Cluster(near, far, valkey, url, start)


def wait_for_nodes(count: int, *servers: Server) -> None:
    """Wait until each of them knows of so many nodes."""
    for server in servers:
        wait_until(lambda server=server: httpx.get(f"{server.origin}/nodes").text == str(count))


def api(server: Server) -> cent.Client:
    """The library, as a backend without asyncio uses it."""
    return cent.Client(f"{server.origin}/api", server.secret(KEY))
