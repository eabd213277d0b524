"""Packets are dropped both ways, and no side is told: both notice, and nothing is lost."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from checker import check
from figure_table import Tell
from figures import in_time, sized
from js_members import node_process
from load_node import Node
from mixed_crowd import AnyMember, Crowd, Kind
from polling import eventually
from publishers import press
from sdk_members import SdkMember
from tcp_proxy import tcp_proxy

pytestmark = pytest.mark.timeout(sized(120, 300))

PING, PONG = sized(1, 25), sized(1, 10)
"""Seconds between pings, and until the answer must have come; the SDKs wait so long for a ping in turn."""

NOTICED = PING + PONG + 5.0
"""Seconds within which both ends must know."""

LATEST = 3 * NOTICED
ROOM = "halfopen:1"


async def when_gone(people: Sequence[AnyMember]) -> list[float]:
    """When each of them found out."""
    found: dict[int, float] = {}

    def all_found() -> bool:
        found.update(
            {
                number: time.monotonic()
                for number, member in enumerate(people)
                if not member.online and number not in found
            }
        )
        return len(found) == len(people)

    await eventually(all_found, LATEST)
    return [found[number] for number in range(len(people))]


async def when_forgotten(node: Node) -> float:
    """When the server had no connection any more."""

    async def empty() -> bool:
        return bool((await node.state())["connections"] == 0)

    await eventually(empty, LATEST)
    return time.monotonic()


async def test_both_ends_notice_a_link_that_swallows_everything(tmp_path: Path, tell: Tell) -> None:
    environment = {"HUBBUB_TEST_PING": str(PING), "HUBBUB_TEST_PONG": str(PONG)}
    node = Node("memory://", tmp_path, environment=environment)
    await node.start()
    try:
        async with node_process(ping_delay=PONG) as javascript, tcp_proxy(node.port) as link:
            kinds: tuple[Kind, ...] = (
                partial(SdkMember, ping_delay=PONG),
                partial(SdkMember, ping_delay=PONG, protobuf=True),
                javascript.member,
            )
            base = f"ws://127.0.0.1:{link.port}"
            people = Crowd(kind(base, ROOM, f"member {number}") for number, kind in enumerate(kinds))
            try:
                await people.come()
                async with press(node.port, [ROOM], 1, insist=True) as one:
                    await one.run(each=5)
                    await people.reach(one.places)
                    swallowed = time.monotonic()
                    link.swallow()
                    gone, forgotten = await asyncio.gather(when_gone(people.members), when_forgotten(node))
                    await one.run(each=5)
                    link.cut()
                    link.flow()
                    await people.reach(one.places, 60)
            finally:
                await people.go()
    finally:
        await node.stop()
    verdict = check(one.log, people.logs)
    for member, moment in zip(people.members, gone, strict=True):
        tell(f"{member.log.client} noticed", f"{moment - swallowed:.1f} s", f"{NOTICED:.0f} s")
    tell("the server noticed", f"{forgotten - swallowed:.1f} s", f"{NOTICED:.0f} s")
    tell("delivered", verdict.figures, "0 lost, 0 doubled")
    verdict.prove()
    assert verdict.deliveries == 10 * len(people.members)
    in_time(max(*gone, forgotten) - swallowed, NOTICED)
