"""A server dies and comes back: all its clients are back soon, each after a back-off of its own."""

import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from broker_servers import broker_server
from checker import Verdict, check
from delivery_logs import Joined
from figure_table import Tell
from figures import in_time, sized
from latencies import percentile
from lean_client import run
from load_node import Node
from publishers import press
from resumers import Resumer, Resumers

pytestmark = pytest.mark.timeout(sized(120, 300))

CLIENTS, ROOMS = sized(100, 5_000), sized(5, 50)
LONGEST = sized(1, 20)
"""Seconds of their back-off at most."""

BACK = 60.0
"""Seconds within which every client must be back."""


def joined(member: Resumer) -> float:
    """When it came into its room for the last time."""
    return next(event.time for event in reversed(member.log.events) if isinstance(event, Joined))


async def storm(folder: Path) -> tuple[list[float], Verdict]:
    """Kill the server under its clients; the seconds until each was back, and the verdict."""
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(broker_server("redis", folder))
        node = Node(broker.url(), folder)
        await node.start()
        stack.push_async_callback(node.stop)
        rooms = [f"storm:{number}" for number in range(ROOMS)]
        people = Resumers(
            Resumer([node.port], rooms[number % ROOMS], f"member {number}", LONGEST)
            for number in range(CLIENTS)
        )
        await people.come()
        stack.push_async_callback(people.go)
        publishers = await stack.enter_async_context(press(node.port, rooms, 2, insist=True))
        await publishers.run(each=ROOMS)
        await people.reach(publishers.places, BACK)
        await node.kill()
        await node.start()
        up = time.monotonic()
        await publishers.run(each=ROOMS)
        await people.all_back(2 * BACK)
        await people.reach(publishers.places, BACK)
    back = [joined(member) - up for member in people.members]
    return back, check(publishers.log, people.logs)


def test_all_clients_are_back_after_a_crash_and_have_missed_nothing(tmp_path: Path, tell: Tell) -> None:
    back, verdict = run(storm(tmp_path))
    tell("clients", f"{CLIENTS:,}")
    tell(
        "all back after the restart", f"{max(back):.1f} s (half after {percentile(back, 0.5):.1f} s)", "60 s"
    )
    tell("delivered", verdict.figures, "0 lost, 0 doubled")
    verdict.prove()
    # One whose handshake was given up just as its answer came joins twice.
    assert verdict.recovered >= CLIENTS
    assert (verdict.unrecovered, verdict.gaps) == (0, 0)
    in_time(max(back), BACK)
