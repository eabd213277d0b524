"""Two workers of one server: the page shows both, and one of them is drained while the other goes on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from admin_client import asked, looking, seen
from admin_servers import serving
from polling import eventually
from server_process import ServerProcess
from socket_client import closed, opened
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

DRAIN = 1.0
RESTART = 1012

pytestmark = pytest.mark.timeout(120)


async def nodes_of(server: ServerProcess) -> Counter[str]:
    """How many clients each node has, of those that have any."""
    rows = (await asked(server, "connections", limit=200))["rows"]
    return Counter(row["node"] for row in rows)


async def both_answer(server: ServerProcess) -> bool:
    """Whether both workers are asked for their connections."""
    return bool((await asked(server, "connections"))["nodes"] == 2)


@asynccontextmanager
async def clients_at_both(server: ServerProcess) -> AsyncIterator[dict[str, list[ClientConnection]]]:
    """Clients at either worker, by node."""
    clients: list[ClientConnection] = []
    async with AsyncExitStack() as stack:
        while len(found := await nodes_of(server)) < 2 or min(found.values()) < 3:
            assert len(clients) < 100, found
            clients.append(await stack.enter_async_context(opened(server, "/ws/room/both")))
        yield await _by_node(server, clients)


async def _by_node(
    server: ServerProcess, clients: list[ClientConnection]
) -> dict[str, list[ClientConnection]]:
    rows = (await asked(server, "connections", sort="oldest", limit=200))["rows"]
    found: dict[str, list[ClientConnection]] = {}
    for row, client in zip(rows, clients, strict=True):
        found.setdefault(row["node"], []).append(client)
    return found


async def test_the_page_shows_both_workers_and_one_is_drained_while_the_other_takes_the_clients(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, DRAIN, workers="2", broker=f"embedded://{tmp_path}/valkey") as server:
        await eventually(lambda: both_answer(server), 40)
        async with clients_at_both(server) as clients:
            counts = {node: len(its) for node, its in clients.items()}
            await _shown(server, counts)
            leaving, staying = clients
            stop = asyncio.Event()
            watching = asyncio.create_task(_never_refused(server, stop))
            assert await asked(server, "drain", {"node": leaving}) == {"done": 1}
            ended = await asyncio.gather(*map(closed, clients[leaving]))
            assert {code for _, code, _ in ended} == {RESTART}
            assert all(one.state is State.OPEN for one in clients[staying])
            # The supervisor starts another one in its place.
            await eventually(lambda: _anew(server, leaving), 40)
            stop.set()
            assert await watching > 10
            assert all(one.state is State.OPEN for one in clients[staying])
            assert (await nodes_of(server))[staying] == counts[staying]


async def _shown(server: ServerProcess, counts: dict[str, int]) -> None:
    """The feed has a snapshot of each node, the tables the sum."""
    nodes: dict[str, int] = {}

    def all_clients(message: Any) -> bool:
        if snapshot := message.get("snapshot"):
            nodes[snapshot["node"]] = snapshot["connections"]
        return nodes == counts

    async with looking(server) as feed:
        await seen(feed, all_clients)
    (room,) = (await asked(server, "rooms", search="room:both"))["rows"]
    assert (room["members"], room["nodes"]) == (sum(counts.values()), 2)
    assert (await asked(server, "connections"))["total"] == sum(counts.values())


async def _anew(server: ServerProcess, gone: str) -> bool:
    """Whether two nodes are there again, and not that one."""
    names: set[str] = set()

    def two(message: Any) -> bool:
        if snapshot := message.get("snapshot"):
            names.add(snapshot["node"])
        return len(names - {gone}) == 2

    try:
        async with asyncio.timeout(4), looking(server) as feed:
            await seen(feed, two)
    except (TimeoutError, ConnectionClosed):  # it looked through the one that goes
        return False
    return True


async def _never_refused(server: ServerProcess, stop: asyncio.Event) -> int:
    """Ask whether it is ready, and for a WebSocket, again and again, with no refusal; returns how often."""
    asked_so_often = 0
    while not stop.is_set():
        async with server.http() as http:
            assert (await http.get("/ready")).status_code == 200
        async with opened(server, "/ws/room/new"):
            asked_so_often += 1
        await asyncio.sleep(0.02)
    return asked_so_often
