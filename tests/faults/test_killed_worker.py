"""A worker process dies: its clients come back to another one and miss nothing."""

import asyncio
import time

import pytest
from checker import check
from cluster import WORKERS, Cluster
from delivery_logs import Joined
from figures import Figures, in_time, sized
from mixed_crowd import AnyMember, Kind, crowd
from nodes import kill
from polling import eventually
from publishers import press

pytestmark = pytest.mark.timeout(sized(120, 300))

BACK = 10.0
"""Seconds within which every client must be back."""


def came_back(member: AnyMember, after: float) -> float:
    """When it joined for the first time after that moment."""
    return next(event.time for event in member.log.events if isinstance(event, Joined) and event.time > after)


async def test_members_of_a_killed_worker_come_back_and_miss_nothing(
    cluster: Cluster, figures: Figures, kinds: tuple[Kind, ...]
) -> None:
    rooms, total = cluster.rooms(sized(8, 20)), sized(600, 10_000)
    async with (
        crowd(cluster.ws, rooms, sized(5, 10), processes=WORKERS, kinds=kinds) as people,
        press(cluster.port, rooms, 20, insist=True, processes=WORKERS) as publishers,
    ):
        publishing = asyncio.create_task(publishers.run(total // 20, rate=sized(300, 1_000)))
        await eventually(lambda: publishers.accepted > total // 3 or publishing.done(), 30)
        victim = people.processes.most_common(1)[0][0]
        hit = [member for member in people.members if member.pid == victim]
        killed = time.monotonic()
        kill(victim)
        seconds = await publishing
        await people.reach(publishers.places)
        cluster.whole()
    verdict = check(publishers.log, people.logs)
    back = max(came_back(member, killed) for member in hit) - killed
    took = f"{publishers.pids[victim]} publishes through the victim, {publishers.retries} sent again"
    took += f", {total / seconds:,.0f} publishes/s"
    lost = f"{len(hit)} of {len(people.members)} members lost, back after {back:.2f} s"
    figures(f"{lost}; {took}; {verdict.figures}")
    verdict.prove()
    in_time(back, BACK)
    assert len(hit) <= verdict.recovered <= people.losses
    assert (verdict.unrecovered, verdict.gaps) == (0, 0)
    assert publishers.pids[victim], "the victim took publishes"
