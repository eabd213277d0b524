"""What an open admin page costs a busy server: its feed, and both tables as the page asks for them."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest
from figure_table import Tell
from figures import FULL, sized
from lean_client import LeanClient, connect, run
from polling import eventually
from server_process import HUBBUB, ServerProcess, running

PEOPLE, ROOM = sized(200, 10_000), sized(10, 20)
"""Connections, and how many of them are in each room."""

RATE = sized(50, 1_000)
"""Messages a second, each of another member, to its room."""

PAIRS, SECONDS = sized(1, 6), sized(2, 6)
"""How often it is measured without the page and with it, and for how long each."""

SHARE = 0.02
"""Of the server's processor time, at most."""

FRESH, PAUSE = sized(1, 5), 100
"""Seconds between the page's looks at a table; at least so many times what the answer took."""

KEY = secrets.token_urlsafe(32)
AT_ONCE = 100

pytestmark = pytest.mark.timeout(sized(120, 300))


class Town:
    """All who talk. What they say is heard in their room."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._people: list[LeanClient] = []
        self.heard = 0
        self._ended: list[int] = []

    async def come(self) -> None:
        """All connect."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> LeanClient:
            path = f"/ws/room/town-{number // ROOM}?username=person-{number}"
            async with gate:
                return await connect(self._port, path, self._hear, self._ended.append)

        self._people = await asyncio.gather(*map(one, range(PEOPLE)))

    def _hear(self, text: bytes) -> None:
        self.heard += 1

    async def talk(self) -> None:
        """Talk, by the clock, until cancelled."""
        began, said = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - began) * RATE)
            for number in range(said, due):
                # So that all rooms are equally loud, and nobody comes near the rate of a client.
                self._people[number * 7_919 % PEOPLE].say(f"number {number}")
            said = max(said, due)
            await asyncio.sleep(0.005)

    async def go(self) -> None:
        """All leave."""
        for one in self._people:
            one.leave()
        await eventually(lambda: len(self._ended) == PEOPLE, 30)


class Page:
    """An open admin page, without a browser."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.snapshots: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open until the end of the block."""
        ended: list[int] = []
        feed = await connect(self._server.port, "/admin/feed", self._hear, ended.append)
        feed.say(json.dumps({"key": KEY}))
        tables = [asyncio.create_task(self._look(table)) for table in ("rooms", "connections")]
        try:
            yield
        finally:
            feed.leave()
            for task in tables:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await eventually(lambda: bool(ended), 10)

    def _hear(self, text: bytes) -> None:
        message = json.loads(text)
        if "snapshot" in message:
            self.snapshots.append(message["snapshot"])

    async def _look(self, table: str) -> None:
        async with self._server.http(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
            while True:
                began = time.monotonic()
                answer = await http.get(f"/admin/api/{table}")
                assert answer.status_code == 200, answer.text
                self.answers.append(answer.json())
                await asyncio.sleep(max(FRESH, PAUSE * (time.monotonic() - began)))


async def measured(server: ServerProcess) -> tuple[Page, list[float], list[float], float]:
    """The page; the server's share of a core without it and with it, each time; deliveries a second."""
    process = psutil.Process(server.process.pid)

    async def load() -> float:
        before, began = process.cpu_times(), time.monotonic()
        await asyncio.sleep(SECONDS)
        after = process.cpu_times()
        return (after.user + after.system - before.user - before.system) / (time.monotonic() - began)

    town, page = Town(server.port), Page(server)
    await town.come()
    talking = asyncio.create_task(town.talk())
    without, beside = [], []
    await asyncio.sleep(1)
    began, heard = time.monotonic(), town.heard
    for _ in range(PAIRS):
        without.append(await load())
        async with page.open():
            beside.append(await load())
    deliveries = (town.heard - heard) / (time.monotonic() - began)
    talking.cancel()
    with suppress(asyncio.CancelledError):
        await talking
    await town.go()
    return page, without, beside, deliveries


def test_an_open_admin_page_costs_a_busy_server_little(tmp_path: Path, tell: Tell) -> None:
    command = [*HUBBUB, "serve", "--drain", "0"]
    environment = {"HUBBUB_ADMIN_KEY": KEY, "HUBBUB_LOG_LEVEL": "warning"}
    with running(command, tmp_path / "serve.log", environment, folder=tmp_path) as server:
        page, without, beside, deliveries = run(measured(server))
    shares = [(more - less) / less for less, more in zip(without, beside, strict=True)]
    tell("connections, deliveries", f"{PEOPLE:,}, {deliveries:,.0f}/s")
    tell("the server's processor time", f"{median(beside):.1%} of a core, without {median(without):.1%}")
    tell(
        "for the page", f"{median(shares):.1%} of it ({min(shares):.1%} to {max(shares):.1%})", f"{SHARE:.0%}"
    )
    assert page.snapshots[-1]["connections"] == PEOPLE
    assert {answer["total"] for answer in page.answers} == {PEOPLE, PEOPLE // ROOM}
    assert not FULL or median(shares) < SHARE
