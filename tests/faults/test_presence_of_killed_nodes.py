"""A node dies: its members leave on all others, in bounded time and once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

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

LATEST = 30.0
"""Seconds that are waited for anything."""


@asynccontextmanager
async def link_to(cluster: Cluster, wanted: Callable[[int], bool]) -> AsyncIterator[HttpLink]:
    """A connection to a process of the server whose id is wanted; it takes one that accepts."""
    deadline, link = time.monotonic() + LATEST, HttpLink(cluster.port)
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


@dataclass(frozen=True, slots=True)
class Eyes:
    """Looks at a room through one process of the server."""

    cluster: Cluster
    room: str
    wanted: Callable[[int], bool]

    async def see(self, expected: dict[str, int]) -> "Counter[str]":
        """Wait until that process sees these users, with so many connections each; return who has left."""
        async with link_to(self.cluster, self.wanted) as link:

            async def look() -> list[list[str]]:
                status, answer = await link.request("GET", f"/presence?room={self.room}")
                assert status == 200, answer
                return [answer["left"]] if answer["here"] == expected else []

            looks: Callable[[], list[list[str]] | Awaitable[list[list[str]]]] = look
            return Counter((await eventually(looks, LATEST))[0])


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
        others = {victim, *people.processes}
        survivor = Eyes(cluster, room, (others - {victim}).__contains__)
        newcomer = Eyes(cluster, room, lambda pid: pid not in others)
        before = await survivor.see(tabs(people.members))
        killed = time.monotonic()
        kill(victim)
        await survivor.see(tabs(staying))
        seconds = time.monotonic() - killed
        await asyncio.to_thread(cluster.whole)
        assert not await newcomer.see(tabs(staying))
        told = await survivor.see(tabs(staying)) - before
        await people.go()
        everybody = await survivor.see({}) - before
    finally:
        await people.go()
    figures(
        f"{len(gone)} users of a killed node, {len(tabs(staying))} of the other; gone after {seconds:.2f} s"
    )
    assert told == Counter(gone)
    assert everybody == Counter(set(names))
    in_time(seconds, GONE)
