"""Clients come and go for a long time: the server's memory is flat, and in the end nothing is left."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest
from figure_table import Tell
from figures import FULL, sized
from lean_client import LeanClient, connect, run
from load_node import Node
from polling import eventually
from publishers import press

CLIENTS = sized(60, 2_000)
SECONDS = sized(3, 600)
LONGEST_STAY = sized(1, 60)
"""Seconds."""

ROOMS = 20
RATE = 50
"""Publications a second."""

GROWTH = 0.05
"""Share by which the memory of the last third may be above that of the second."""

pytestmark = pytest.mark.timeout(SECONDS + 120)


@dataclass(slots=True)
class Soak:
    """What it saw."""

    visits: int = 0
    refusals: int = 0
    """Handshakes that were not answered in time."""

    heard: int = 0
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    memory: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the start, and resident bytes."""

    def third(self, number: int) -> float:
        """The median memory of a third of the time."""
        return median(size for moment, size in self.memory if number - 1 <= 3 * moment / SECONDS < number)


async def leave(client: LeanClient, ended: asyncio.Event) -> None:
    """With a close frame, without a word, or with a reset."""
    random.choice([client.leave, client.transport.close, client.drop])()
    await ended.wait()


async def visitor(node: Node, number: int, until: float, soak: Soak) -> None:
    """Come and go until that time; every second one into a room where it is known who is there."""

    def hear(text: bytes) -> None:
        soak.heard += 1

    await asyncio.sleep(random.uniform(0, LONGEST_STAY))
    while (now := time.monotonic()) < until:
        kind = "here" if (number + soak.visits) % 2 else "small"
        path = f"/ws?room={kind}:{number % ROOMS}&user=user-{number}"
        ended = asyncio.Event()
        soak.visits += 1
        try:
            client = await connect(node.port, path, hear, lambda code, ended=ended: ended.set())
        except (OSError, TimeoutError):
            soak.refusals += 1
            await asyncio.sleep(random.uniform(0, LONGEST_STAY))
            continue
        await asyncio.sleep(min(random.uniform(0, LONGEST_STAY), until - now))
        await leave(client, ended)


async def holds(node: Node, process: psutil.Process) -> dict[str, Any]:
    """All that the server has."""
    state = await node.state()
    here = [await node.get(f"/presence?room=here:{number}") for number in range(ROOMS)]
    present = sum(len(one["here"]) for one in here)
    return {**state, "present": present, "descriptors": process.num_fds()}


async def weigh(process: psutil.Process, began: float, soak: Soak) -> None:
    """Note the memory again and again."""
    while True:
        soak.memory.append((time.monotonic() - began, process.memory_info().rss))
        await asyncio.sleep(SECONDS / 100)


async def soaked(folder: Path) -> Soak:
    """The whole row."""
    node, soak = Node("memory://", folder), Soak()
    await node.start()
    try:
        process = psutil.Process(node.server.process.pid)
        soak.before = await holds(node, process)
        rooms = [f"small:{number}" for number in range(ROOMS)]
        async with press(node.port, rooms, 2) as publishers:
            began = time.monotonic()
            weighing = asyncio.create_task(weigh(process, began, soak))
            publishing = asyncio.create_task(publishers.run(1_000_000, rate=RATE))
            await asyncio.gather(*(visitor(node, number, began + SECONDS, soak) for number in range(CLIENTS)))
            weighing.cancel()
            publishers.stopped.set()
            await publishing

        async def nothing_left() -> bool:
            soak.after = await holds(node, process)
            return soak.after == soak.before

        await eventually(nothing_left, 30)
    finally:
        await node.stop()
    return soak


def test_clients_that_come_and_go_leave_nothing_behind(tmp_path: Path, tell: Tell) -> None:
    soak = run(soaked(tmp_path))
    tell("visits, messages heard", f"{soak.visits:,}, {soak.heard:,} in {SECONDS} s by {CLIENTS:,} clients")
    tell("handshakes not answered within 10 s", str(soak.refusals), "0")
    names = ("connections", "rooms", "tasks", "present", "descriptors")
    left = ", ".join(f"{name} {soak.after[name]}" for name in names)
    tell("left behind", left, "as before")
    growth = soak.third(3) / soak.third(2) - 1
    thirds = " ".join(f"{soak.third(number) / 1e6:.1f}" for number in (1, 2, 3))
    tell("memory in each third, MB", f"{thirds} ({growth:+.1%})", "flat")
    tell(
        "memory at the end, MB", f"{soak.memory[-1][1] / 1e6:.1f}, {soak.memory[0][1] / 1e6:.1f} at the start"
    )
    assert soak.after["connections"] == soak.after["present"] == 0
    assert soak.after["rooms"] == []
    assert soak.visits > CLIENTS
    if FULL:
        assert growth < GROWTH
        assert soak.refusals == 0
