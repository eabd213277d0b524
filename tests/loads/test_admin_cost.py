"""What an open admin page costs a busy server: its feed, and both tables as the page asks for them.

A machine may be a tenth slower in one minute than in the next, and the page costs much less than that. So two
servers with the same load run side by side, and the page is open at one of them, then at the other.
"""

import asyncio
import json
import math
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
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

PEOPLE, ROOM = sized(200, 8_000), sized(10, 20)
"""Connections of each server, and how many of them are in each room."""

RATE = sized(50, 600)
"""Messages a second to each server, each of another member, to its room."""

PAIRS, SECONDS = sized(1, 3), sized(2, 25)
"""How often the page is opened at each of them, and for how long it is measured. In 25 s each client has its
ping; a shorter time may have those of many that came together, which is more than the page costs.
"""

SETTLED = sized(0.5, 2)
"""Seconds before that. It asks for all tables when it is opened, and then no more often than it may."""

SHARE = 0.02
"""Of the server's processor time, at most."""

FRESH, PAUSE = sized(1, 5), 500
"""Seconds between the page's looks at a table; at least so many times what the answer took."""

TABLES = ("rooms", "connections")

KEY = secrets.token_urlsafe(32)
AT_ONCE = 100

pytestmark = pytest.mark.timeout(sized(120, 400))


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
        self._pauses: dict[str, float] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open until the end of the block."""
        ended: list[int] = []
        feed = await connect(self._server.port, "/admin/feed", self._hear, ended.append)
        feed.say(json.dumps({"key": KEY}))
        tables = [asyncio.create_task(self._look(table)) for table in TABLES]
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

    async def time(self) -> None:
        """Note what answers take. While all talk, this process would time how late it is itself."""
        for table in TABLES:
            began = time.monotonic()
            await self._ask(table)
            self._pauses[table] = max(FRESH, PAUSE * (time.monotonic() - began))

    async def _look(self, table: str) -> None:
        while True:
            self.answers.append(await self._ask(table))
            await asyncio.sleep(self._pauses[table])

    async def _ask(self, table: str) -> dict[str, Any]:
        async with self._server.http(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
            answer = await http.get(f"/admin/api/{table}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


class Busy:
    """One of the two servers: who is there, the page, and its processor time."""

    def __init__(self, server: ServerProcess) -> None:
        self.town, self.page = Town(server.port), Page(server)
        self._process = psutil.Process(server.process.pid)

    def seconds(self) -> float:
        """Of processor time, since it has started."""
        times = self._process.cpu_times()
        return float(times.user + times.system)


@asynccontextmanager
async def talking(*all_of_them: Busy) -> AsyncIterator[None]:
    """All are there and talk until the end of the block."""
    for one in all_of_them:
        await one.town.come()
        await one.page.time()
    tasks = [asyncio.create_task(one.town.talk()) for one in all_of_them]
    await asyncio.sleep(1)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for one in all_of_them:
            await one.town.go()


async def beside_the_page(busy: Busy, other: Busy) -> tuple[float, float]:
    """Seconds of processor time of both, with the page open at the first."""
    async with busy.page.open():
        await asyncio.sleep(SETTLED)
        before = busy.seconds(), other.seconds()
        await asyncio.sleep(SECONDS)
        return busy.seconds() - before[0], other.seconds() - before[1]


async def measured(one: Busy, other: Busy) -> tuple[list[float], float, float]:
    """What the page costs, as a share of a server's processor time, for each pair; how busy they are."""
    shares: list[float] = []
    used = 0.0
    async with talking(one, other):
        began, heard = time.monotonic(), one.town.heard
        for _ in range(PAIRS):
            first, bare_other = await beside_the_page(one, other)
            second, bare_one = await beside_the_page(other, one)
            used += bare_one
            shares.append(math.sqrt(first * second / (bare_other * bare_one)) - 1)
        deliveries = (one.town.heard - heard) / (time.monotonic() - began)
    return shares, used / (PAIRS * SECONDS), deliveries


def test_an_open_admin_page_costs_a_busy_server_little(tmp_path: Path, tell: Tell) -> None:
    command = [*HUBBUB, "serve", "--drain", "0"]
    environment = {"HUBBUB_ADMIN_KEY": KEY, "HUBBUB_LOG_LEVEL": "warning"}
    with ExitStack() as stack:
        servers = []
        for name in ("one", "other"):
            folder = tmp_path / name
            folder.mkdir()
            log = folder / "serve.log"
            servers.append(stack.enter_context(running(command, log, environment, folder=folder)))
        one, other = map(Busy, servers)
        shares, used, deliveries = run(measured(one, other))
    tell("connections, deliveries of each server", f"{PEOPLE:,}, {deliveries:,.0f}/s")
    tell("its processor time without the page", f"{used:.1%} of a core")
    tell(
        "for the page", f"{median(shares):.1%} of it ({min(shares):.1%} to {max(shares):.1%})", f"{SHARE:.0%}"
    )
    for page in (one.page, other.page):
        assert page.snapshots[-1]["connections"] == PEOPLE
        assert {answer["total"] for answer in page.answers} == {PEOPLE, PEOPLE // ROOM}
    assert not FULL or median(shares) < SHARE
