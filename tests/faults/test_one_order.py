"""Two processes on one broker deliver everything once, in one order for all."""

import pytest
from checker import check
from cluster import WORKERS, Cluster
from figures import Figures, sized
from members import crowd
from publishers import press

pytestmark = pytest.mark.timeout(sized(60, 300))


async def test_all_members_of_a_room_see_one_order(cluster: Cluster, figures: Figures) -> None:
    rooms, each = cluster.rooms(20), sized(40, 1_000)
    async with (
        crowd(cluster.ws, rooms, 10, processes=WORKERS) as people,
        press(cluster.port, rooms, 50, processes=WORKERS) as publishers,
    ):
        seconds = await publishers.run(each)
        await people.reach(publishers.places)
    verdict = check(publishers.log, people.logs)
    split = f"members {sorted(people.processes.values())}, publishes {sorted(publishers.pids.values())}"
    figures(f"{verdict.figures}; {publishers.accepted / seconds:,.0f} publishes/s; by process: {split}")
    verdict.prove()
    assert publishers.accepted == 50 * each
    assert verdict.deliveries == 50 * each * 10
    assert (people.losses, verdict.gaps) == (0, 0)
    assert len(people.processes) == len(publishers.pids) == WORKERS
