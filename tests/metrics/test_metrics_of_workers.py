"""``/metrics`` of several workers: all of them in any scrape, and what is left of one that was killed."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from scraping import scrape
from server_process import HUBBUB, ServerProcess, running
from socket_client import heard_until, opened
from websockets.asyncio.client import ClientConnection
from websockets.protocol import State


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Two workers."""
    folder = tmp_path_factory.mktemp("pair")
    command = [*HUBBUB, "run", "--drain", "0", "--workers", "2", "tests.metrics.workers_app:app"]
    with running(command, folder / "log", {"METRICS_FOLDER": str(folder / "figures")}) as server:
        yield server


async def has(server: ServerProcess, wanted: dict[str, float]) -> dict[str, float]:
    """A scrape with these samples: workers take seconds to start, and one to hear of each other."""
    deadline = time.monotonic() + 40
    while True:
        found = await scrape(server)
        if found.items() >= wanted.items():
            return found
        assert time.monotonic() < deadline, {name: found[name] for name in wanted}
        await asyncio.sleep(0.2)


async def clients_at_both(server: ServerProcess, stack: AsyncExitStack) -> list[ClientConnection]:
    """Clients that have published once each, some at either worker."""
    clients: list[ClientConnection] = []
    while len(clients) < 100:
        client = await stack.enter_async_context(opened(server, "/room"))
        clients.append(client)
        await client.send(str(len(clients)))
        await heard_until(client, str(len(clients)))
        if len(clients) % 8 == 0:
            found = await has(server, {"hubbub_connections": len(clients)})
            if found["hubbub_rooms"] == 2:  # one in each process
                break
    return clients


@pytest.mark.timeout(150)
async def test_every_scrape_has_all_workers_and_a_killed_one_leaves_its_counters(pair: ServerProcess) -> None:
    await has(pair, {"hubbub_processes": 2})
    async with AsyncExitStack() as stack:
        clients = await clients_at_both(pair, stack)
        count = len(clients)
        for _ in range(4):  # whichever answers
            before = await has(pair, {"hubbub_members": count, "hubbub_publications_total": count})
        os.kill(int(re.findall(r"Started server process \[(\d+)\]", pair.log())[0]), signal.SIGKILL)
        after = await has(pair, {"hubbub_processes": 1})
        assert 0 < sum(one.state is State.OPEN for one in clients) == after["hubbub_connections"] < count
        counters = {name for name in before if "_total" in name or "_bucket" in name or name.endswith("_sum")}
        assert {name: after[name] for name in counters if after[name] < before[name]} == {}
        assert after["hubbub_connections_opened_total"] == after["hubbub_publications_total"] == count
        anew = await has(pair, {"hubbub_processes": 2})
        assert anew["hubbub_publications_total"] == count
