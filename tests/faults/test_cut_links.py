"""The link between a node and the broker breaks; the node's members are not closed, and miss nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from checker import Verdict, check
from cluster import Cluster
from figures import Figures, sized
from mixed_crowd import AnyMember, Crowd, crowd
from nodes import nodes
from polling import eventually
from publishers import Press, press
from tcp_proxy import TcpProxy, tcp_proxy

pytestmark = pytest.mark.timeout(sized(60, 120))

REPAIRED = 2.0
"""Seconds after the link is there again within which everything missed must have come."""

ROOMS = 10

LARGE = 8_192
"""Bytes of a publication with which the broker's buffers are filled: Valkey does not count larger ones."""

MOST_LARGE = 400
"""Of each publisher."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Publishers on a node whose link is good; members there, and on a node whose link the test breaks."""

    link: TcpProxy
    publishers: Press
    near: Crowd[AnyMember]
    far: Crowd[AnyMember]

    def published(self, count: float) -> bool:
        """Whether so many were accepted."""
        return self.publishers.accepted >= count

    async def repaired(self) -> float:
        """Wait until the members behind the broken link have all; the seconds it took."""
        started = time.monotonic()
        await self.far.reach(self.publishers.places)
        return time.monotonic() - started

    async def prove(self) -> Verdict:
        """Everything came to all, in order, and nobody noticed the link."""
        for people in (self.near, self.far):
            await people.reach(self.publishers.places)
        verdict = check(self.publishers.log, self.near.logs + self.far.logs)
        verdict.prove()
        assert (self.near.losses, self.far.losses, verdict.gaps) == (0, 0, 0)
        return verdict


@asynccontextmanager
async def scene(cluster: Cluster, folder: Path) -> AsyncIterator[Scene]:
    """The cluster's nodes with their good links, and one more node behind a link of its own."""
    rooms = cluster.rooms(ROOMS)
    async with tcp_proxy(cluster.broker.port) as link:
        url = cluster.broker.url(link.port)
        # A thread waits for the node: this loop forwards what it says to the broker meanwhile.
        far = nodes(url, folder, workers=1)
        server = await asyncio.to_thread(far.__enter__)
        try:
            async with (
                crowd(server.ws(""), rooms, 3, "far member") as there,
                crowd(cluster.ws, rooms, 1, "near member") as here,
                press(cluster.port, rooms, 10) as publishers,
            ):
                yield Scene(link, publishers, here, there)
        finally:
            await asyncio.to_thread(far.__exit__, None, None, None)


async def test_links_that_break_again_and_again_lose_nothing(
    cluster: Cluster, figures: Figures, tmp_path: Path
) -> None:
    cuts, each, broken = sized(3, 20), sized(20, 40), 0
    async with scene(cluster, tmp_path) as one:
        publishing = asyncio.create_task(one.publishers.run(cuts * each, rate=400))
        for cut in range(1, cuts + 1):
            due = (cut - 0.5) * each * len(one.publishers.publishers)
            await eventually(partial(one.published, due), 30)
            broken += one.link.links
            one.link.cut()
        await publishing
        seconds = await one.repaired()
        verdict = await one.prove()
        cut_links = f"{broken} connections cut, all came {seconds:.2f} s after the last"
        figures(f"{cut_links}; {verdict.figures}")
        assert broken
    assert seconds < REPAIRED


async def test_what_was_published_while_a_link_was_gone_comes_when_it_is_back(
    cluster: Cluster, figures: Figures, tmp_path: Path
) -> None:
    async with scene(cluster, tmp_path) as one:
        await one.publishers.run(each=10)
        await one.far.reach(one.publishers.places)
        one.link.refuses = True
        one.link.cut()
        await one.publishers.run(each=sized(20, 200), rate=sized(400, 500))
        one.link.refuses = False
        # Nothing more is published: the node has to find out by itself.
        seconds = await one.repaired()
        await one.publishers.run(each=10)
        verdict = await one.prove()
        figures(f"repaired {seconds:.2f} s after the link was back; {verdict.figures}")
    assert seconds < REPAIRED


async def test_a_node_that_the_broker_cuts_off_for_not_reading_misses_nothing(
    cluster: Cluster, figures: Figures, tmp_path: Path
) -> None:
    async with scene(cluster, tmp_path) as one:
        await one.publishers.run(each=10)
        await one.far.reach(one.publishers.places)
        one.link.swallow()
        before = cluster.broker.cut_offs
        publishing = asyncio.create_task(one.publishers.run(each=MOST_LARGE, padding=LARGE))
        await eventually(lambda: cluster.broker.cut_offs > before, 20)
        one.publishers.stopped.set()
        await publishing
        one.link.flow()
        seconds = await one.repaired()
        verdict = await one.prove()
        figures(f"repaired {seconds:.2f} s after the link was free; {verdict.figures}")
    assert seconds < REPAIRED
