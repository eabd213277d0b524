"""Two nodes are deployed, one after the other: clients move a few at a time, and nothing is lost."""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from broker_servers import broker_server
from checker import Verdict, check
from figure_table import Tell
from figures import FULL, in_time, sized
from latencies import latencies, percentile, sent_times
from lean_client import run
from load_node import Node
from publishers import Press, press
from resumers import Resumer, Resumers

from hubbub.uvicorn.drain import LATE

pytestmark = pytest.mark.timeout(sized(120, 300))

CLIENTS, ROOMS = sized(40, 2_000), sized(4, 100)
RATE = sized(50, 500)
"""Publications a second."""

WINDOW = sized(1, 10)
"""Seconds over which a node closes its clients."""

WINDOW_SHARE = 1 / WINDOW
"""Of its clients, at most, that are closed within one second."""

CALM = sized(0, 3)
"""Seconds before, between and after the restarts in which nothing happens but publications."""

P99 = 0.25
"""Seconds within which all but 1 % of the publications reach those that are not moved."""

SERVICE_RESTART = 1012
FOREVER = 1_000_000
BACK = 60.0


@dataclass(frozen=True, slots=True)
class Restart:
    """One node's."""

    port: int
    began: float
    ended: float
    """When the new process answered, and all clients were back."""

    stopping: float
    """Seconds from SIGTERM to the end of the process."""


async def restart(node: Node, people: Resumers) -> Restart:
    """SIGTERM and a new start, and wait for the clients."""
    began = time.monotonic()
    stopping = await node.stop()
    await node.start()
    await people.all_back(BACK)
    return Restart(node.port, began, time.monotonic(), stopping)


async def deploy(folder: Path) -> tuple[Resumers, Press, list[Restart], Verdict]:
    """The whole row."""
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(broker_server("redis", folder))
        both = [Node(broker.url(), folder, drain=WINDOW) for _ in range(2)]
        for node in both:
            await node.start()
            stack.push_async_callback(node.stop)
        ports = [node.port for node in both]
        rooms = [f"deploy:{number}" for number in range(ROOMS)]
        people = Resumers(
            Resumer(ports, rooms[number % ROOMS], f"member {number}") for number in range(CLIENTS)
        )
        await people.come()
        stack.push_async_callback(people.go)
        publishers = await stack.enter_async_context(press(ports, rooms, 20, insist=True))
        publishing = asyncio.create_task(publishers.run(FOREVER, rate=RATE))
        restarts = []
        for node in both:
            await asyncio.sleep(CALM)
            restarts.append(await restart(node, people))
        await asyncio.sleep(CALM)
        publishers.stopped.set()
        await publishing
        await people.reach(publishers.places, BACK)
    return people, publishers, restarts, check(publishers.log, people.logs)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without the collector, whose search through all that was heard stops this process again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def closes(people: Resumers, of: Restart) -> list[float]:
    """Seconds from SIGTERM to the end of each of the node's clients, in order."""
    return sorted(
        close.time - of.began
        for member in people.members
        for close in member.closes
        if close.port == of.port and of.began <= close.time <= of.ended
    )


def largest_second(moments: list[float]) -> float:
    """The largest share of them within one second."""
    most = max(sum(1 for one in moments if start <= one < start + 1) for start in moments)
    return most / len(moments)


def unmoved_latencies(people: Resumers, publishers: Press, of: Restart) -> list[float]:
    """Of the clients that no restart touched meanwhile."""
    logs = [
        member.log
        for member in people.members
        if not any(of.began <= close.time <= of.ended for close in member.closes)
    ]
    return latencies(logs, sent_times(publishers), lambda moment: of.began <= moment <= of.ended)


def test_a_rolling_restart_moves_clients_calmly_and_loses_nothing(tmp_path: Path, tell: Tell) -> None:
    with undisturbed():
        people, publishers, restarts, verdict = run(deploy(tmp_path))
    codes = Counter(close.code for member in people.members for close in member.closes)
    tell("clients, publications", f"{CLIENTS:,}, {publishers.accepted:,}", f"{RATE}/s")
    tell("delivered", verdict.figures, "0 lost, 0 doubled")
    tell("close codes", str(dict(codes)), "1012")
    for restart in restarts:
        moments = closes(people, restart)
        tell(
            "closed", f"{len(moments):,} in {moments[-1]:.2f} s, process ended after {restart.stopping:.1f} s"
        )
        tell("most in one second", f"{largest_second(moments):.1%}", f"{WINDOW_SHARE:.0%}")
        # The schedule: a client is never closed before its turn. What is late is the machine's doing.
        turns = [WINDOW * number / len(moments) - LATE for number in range(len(moments))]
        assert all(moment >= turn for moment, turn in zip(moments, turns, strict=True)), "before its turn"
    unmoved = unmoved_latencies(people, publishers, restarts[0])
    p99 = percentile(unmoved, 0.99)
    tell("p99 of those not moved", f"{p99 * 1000:.0f} ms of {len(unmoved):,}", "250 ms")
    verdict.prove()
    assert set(codes) == {SERVICE_RESTART}
    assert (verdict.unrecovered, verdict.gaps) == (0, 0)
    assert verdict.recovered == sum(codes.values()) >= CLIENTS
    if FULL:
        assert max(largest_second(closes(people, restart)) for restart in restarts) <= WINDOW_SHARE
    in_time(p99, P99)
