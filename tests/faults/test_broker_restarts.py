"""The broker goes away and comes back, with its data or without."""

import asyncio
import time

import pytest
from checker import check
from cluster import Cluster
from delivery_logs import ClientLog, Gap, Joined, Outcome
from figures import Figures, in_time, sized
from members import Member
from mixed_crowd import AnyMember, Crowd, Kind, crowd
from polling import eventually
from publishers import Press, press

pytestmark = pytest.mark.timeout(sized(120, 300))

LIVE = 5.0
"""Seconds after the broker's return within which everything must work again."""

FAILS = 10.0
"""Seconds within which a publish must have failed while the broker is away."""

FOREVER = 1_000_000


async def live_again(publishers: Press, people: Crowd[AnyMember], back: float) -> float:
    """Wait until every room takes publishes and delivers them; return the seconds since that moment."""
    await eventually(lambda: publishers.accepted_since(back) >= set(publishers.rooms), 2 * LIVE)
    await people.reach(publishers.places, 2 * LIVE)
    return time.monotonic() - back


async def test_nothing_acknowledged_is_lost_when_the_broker_restarts_with_its_data(
    cluster: Cluster, figures: Figures, kinds: tuple[Kind, ...]
) -> None:
    rooms, down = cluster.rooms(sized(5, 10)), sized(1, 5)
    async with (
        crowd(cluster.ws, rooms, 5, kinds=kinds) as people,
        press(cluster.port, rooms, 20) as publishers,
    ):
        publishing = asyncio.create_task(publishers.run(FOREVER, rate=sized(200, 500)))
        await eventually(lambda: publishers.accepted >= sized(100, 1_000), 60)
        cluster.broker.kill()
        away = time.monotonic()
        # How long it is away is what is tested here, not something waited for.
        await asyncio.sleep(down)
        cluster.broker.start()
        back = time.monotonic()
        live = await live_again(publishers, people, back)
        publishers.stopped.set()
        await publishing
        await people.reach(publishers.places)
    verdict = check(publishers.log, people.logs)
    failed = [one for one in publishers.log if one.outcome is Outcome.UNKNOWN]
    outage = f"away {back - away:.1f} s, live {live:.2f} s later"
    slowest = f"{len(failed)} failed, the slowest after {publishers.slowest_failure:.2f} s"
    figures(f"{outage}; {slowest}; {verdict.figures}")
    verdict.prove()
    in_time(live, LIVE)
    assert failed, "publishes fail while the broker is away"
    in_time(publishers.slowest_failure, FAILS)
    assert not [one for one in publishers.log if away < one.started and one.finished < back and one.places]
    assert (people.losses, verdict.gaps, verdict.unrecovered) == (0, 0, 0)


def told(log: ClientLog) -> list[str]:
    """What the client was told of losses."""
    said = {Gap: "gap", Joined: "not recovered"}
    return [
        said[type(event)]
        for event in log.events
        if isinstance(event, Gap) or (isinstance(event, Joined) and event.recovered is False)
    ]


async def test_everybody_is_told_once_when_the_broker_comes_back_empty(
    cluster: Cluster, figures: Figures, kinds: tuple[Kind, ...]
) -> None:
    rooms = cluster.rooms(sized(5, 10))
    async with (
        crowd(cluster.ws, rooms, 5, kinds=kinds) as staying,
        crowd(cluster.ws, rooms, 5, "traveller", kinds=kinds) as leaving,
        press(cluster.port, rooms, 10) as publishers,
    ):
        await publishers.run(each=20)
        await staying.reach(publishers.places)
        await leaving.reach(publishers.places)
        await leaving.go()
        before = publishers.places
        cluster.broker.kill()
        cluster.broker.empty()
        cluster.broker.start()
        back = time.monotonic()
        publishing = asyncio.create_task(publishers.run(FOREVER, rate=100))
        live = await live_again(publishers, staying, back)
        await leaving.come()
        publishers.stopped.set()
        await publishing
        people = Crowd(staying.members + leaving.members)
        await people.reach(publishers.places)
    verdict = check(publishers.log, people.logs)
    figures(f"live {live:.2f} s after the return; {verdict.figures}")
    verdict.prove()
    in_time(live, LIVE)
    for one in staying.members:
        # The SDKs have no word for a gap: they subscribe again on the same connection.
        assert told(one.log) == ["gap" if isinstance(one, Member) else "not recovered"], one.log.client
    assert {tuple(told(log)) for log in leaving.logs} == {("not recovered",)}
    assert all(publishers.places[room].epoch != before[room].epoch for room in rooms)
    assert staying.losses == 0
