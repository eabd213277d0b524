"""A node dies: its members leave on all others, in bounded time and once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cluster import WORKERS, Cluster
from figures import Figures, in_time
from members import Member
from mixed_crowd import Crowd
from nodes import kill
from polling import eventually
from publishers import HttpLink

pytestmark = pytest.mark.timeout(120)

GONE = 10.0
"""Seconds within which the members of a node that was killed must have left."""


@asynccontextmanager
async def link_to(cluster: Cluster, wanted: Callable[[int], bool]) -> AsyncIterator[HttpLink]:
    """A connection to a process of the server whose id is wanted; it takes one that accepts."""
    deadline, link = time.monotonic() + GONE, HttpLink(cluster.port)
    try:
        while not wanted(await link.connect()):
            assert time.monotonic() < deadline, "no such process answers"
        yield link
    finally:
        link.close()


def tabs(members: list[Member]) -> dict[str, int]:
    """How many connections each user has."""
    users = [str(member.user) for member in members]
    return {user: users.count(user) for user in users}


async def sees(link: HttpLink, room: str, expected: dict[str, int], seconds: float = GONE) -> dict[str, Any]:
    """Wait until that process sees these users, with so many connections each; return all it says."""

    async def look() -> dict[str, Any]:
        status, answer = await link.request("GET", f"/presence?room={room}")
        assert status == 200, answer
        return answer if answer["here"] == expected else {}

    looks: Callable[[], dict[str, Any] | Awaitable[dict[str, Any]]] = look
    return await eventually(looks, seconds)


async def test_members_of_a_killed_node_leave_once(cluster: Cluster, figures: Figures) -> None:
    room = f"here:{cluster.prefix}"
    names = [f"single {number}" for number in range(20)] + [f"twofold {number // 2}" for number in range(20)]
    people = Crowd(Member(cluster.ws, room, name, user=name) for name in names)
    for member in people.members:
        member.returns = False
    try:
        await people.come()
        await people.spread(WORKERS)
        victim = min(people.processes)
        staying = [member for member in people.members if member.pid != victim]
        gone = set(names) - tabs(staying).keys()
        assert staying
        assert gone
        async with link_to(cluster, lambda pid: pid != victim) as survivor:
            before = Counter((await sees(survivor, room, tabs(people.members)))["left"])
            killed = time.monotonic()
            kill(victim)
            await sees(survivor, room, tabs(staying))
            seconds = time.monotonic() - killed
            await asyncio.to_thread(cluster.whole)
            others = {victim, *people.processes}
            async with link_to(cluster, lambda pid: pid not in others) as newcomer:
                assert (await sees(newcomer, room, tabs(staying)))["left"] == []
            told = Counter((await sees(survivor, room, tabs(staying)))["left"]) - before
            await people.go()
            everybody = Counter((await sees(survivor, room, {}))["left"]) - before
    finally:
        await people.go()
    figures(
        f"{len(gone)} users of a killed node, {len(tabs(staying))} of the other; gone after {seconds:.2f} s"
    )
    assert told == Counter(gone)
    assert everybody == Counter(set(names))
    in_time(seconds, GONE)
