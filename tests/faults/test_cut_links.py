"""The link between a node and the broker breaks; the node's members are not closed, and miss nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
import pytest_asyncio
from checker import Verdict, check
from cluster import Cluster
from figures import Figures, in_time, sized
from mixed_crowd import MIXED, AnyMember, Crowd, crowd
from nodes import nodes
from polling import eventually
from publishers import Press, press
from server_process import ServerProcess
from tcp_proxy import ThreadedProxy, threaded_proxy

pytestmark = pytest.mark.timeout(sized(120, 120))

REPAIRED = 2.0
"""Seconds after the link is there again within which everything missed must have come."""

ROOMS = sized(5, 10)

LARGE = 8_192
"""Bytes of a publication with which the broker's buffers are filled: Valkey does not count larger ones."""

MOST_LARGE = 400
"""Of each publisher."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Publishers on a node whose link is good; members there, and on a node whose link the test breaks."""

    link: ThreadedProxy
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


@dataclass(frozen=True, slots=True)
class FarNode:
    """One more node of the cluster, behind a link of its own."""

    link: ThreadedProxy
    server: ServerProcess


@pytest.fixture(scope="module")
def far_node(running_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarNode]:
    """The node that the tests share."""
    broker, folder = running_cluster.broker, tmp_path_factory.mktemp("far")
    with threaded_proxy(broker.port) as link, nodes(broker.url(link.port), folder, workers=1) as server:
        yield FarNode(link, server)


@pytest_asyncio.fixture
async def scene(cluster: Cluster, far_node: FarNode) -> AsyncIterator[Scene]:
    """Members at all the nodes; the links are good, before and after."""
    rooms = cluster.rooms(ROOMS)
    try:
        async with (
            crowd(far_node.server.ws(""), rooms, len(MIXED), "far member") as there,
            crowd(cluster.ws, rooms, 1, "near member") as here,
            press(cluster.port, rooms, 10) as publishers,
        ):
            yield Scene(far_node.link, publishers, here, there)
    finally:
        far_node.link.heal()


async def test_links_that_break_again_and_again_lose_nothing(scene: Scene, figures: Figures) -> None:
    cuts, each, broken = sized(3, 20), sized(20, 40), 0
    publishing = asyncio.create_task(scene.publishers.run(cuts * each, rate=400))
    for cut in range(1, cuts + 1):
        due = (cut - 0.5) * each * len(scene.publishers.publishers)
        await eventually(partial(scene.published, due), 30)
        broken += scene.link.links
        scene.link.cut()
    await publishing
    seconds = await scene.repaired()
    verdict = await scene.prove()
    cut_links = f"{broken} connections cut, all came {seconds:.2f} s after the last"
    figures(f"{cut_links}; {verdict.figures}")
    assert broken
    in_time(seconds, REPAIRED)


async def test_what_was_published_while_a_link_was_gone_comes_when_it_is_back(
    scene: Scene, figures: Figures
) -> None:
    await scene.publishers.run(each=10)
    await scene.far.reach(scene.publishers.places)
    scene.link.cut(refuse=True)
    await scene.publishers.run(each=sized(20, 200), rate=sized(400, 500))
    scene.link.heal()
    # Nothing more is published: the node has to find out by itself.
    seconds = await scene.repaired()
    await scene.publishers.run(each=10)
    verdict = await scene.prove()
    figures(f"repaired {seconds:.2f} s after the link was back; {verdict.figures}")
    in_time(seconds, REPAIRED)


async def test_a_node_that_the_broker_cuts_off_for_not_reading_misses_nothing(
    cluster: Cluster, scene: Scene, figures: Figures
) -> None:
    await scene.publishers.run(each=10)
    await scene.far.reach(scene.publishers.places)
    scene.link.swallow()
    before = cluster.broker.cut_offs
    publishing = asyncio.create_task(scene.publishers.run(each=MOST_LARGE, padding=LARGE))
    await eventually(lambda: cluster.broker.cut_offs > before, 20)
    scene.publishers.stopped.set()
    await publishing
    scene.link.heal()
    seconds = await scene.repaired()
    verdict = await scene.prove()
    figures(f"repaired {seconds:.2f} s after the link was free; {verdict.figures}")
    in_time(seconds, REPAIRED)
