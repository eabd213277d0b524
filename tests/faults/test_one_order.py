"""Two processes on one broker deliver everything once, in one order for all."""

import pytest
from checker import Kind, check
from cluster import WORKERS, Cluster
from delivery_logs import ClientLog, Received
from figures import Figures, sized
from mixed_crowd import MIXED, crowd
from publishers import press

pytestmark = pytest.mark.timeout(sized(120, 300))


def planted(log: ClientLog) -> dict[Kind, ClientLog]:
    """The log with a loss, a double and a swap in its middle."""
    middle = len(log.events) // 2
    before, (first, second), after = (
        log.events[:middle],
        log.events[middle : middle + 2],
        log.events[middle + 2 :],
    )
    assert isinstance(first, Received)
    assert isinstance(second, Received)
    return {
        Kind.LOST: ClientLog(log.client, log.room, [*before, second, *after]),
        Kind.DOUBLED: ClientLog(log.client, log.room, [*before, first, second, first, *after]),
        Kind.DISORDERED: ClientLog(log.client, log.room, [*before, second, first, *after]),
    }


async def test_all_members_of_a_room_see_one_order(cluster: Cluster, figures: Figures) -> None:
    rooms, each, publishing = cluster.rooms(sized(8, 20)), sized(30, 1_000), sized(20, 50)
    members = sized(len(MIXED), 10)
    async with (
        crowd(cluster.ws, rooms, members, processes=WORKERS) as people,
        press(cluster.port, rooms, publishing, processes=WORKERS) as publishers,
    ):
        seconds = await publishers.run(each)
        await people.reach(publishers.places)
    verdict = check(publishers.log, people.logs)
    split = f"members {sorted(people.processes.values())}, publishes {sorted(publishers.pids.values())}"
    figures(f"{verdict.figures}; {publishers.accepted / seconds:,.0f} publishes/s; by process: {split}")
    verdict.prove()
    assert publishers.accepted == publishing * each
    assert verdict.deliveries == publishing * each * members
    assert (people.losses, verdict.gaps) == (0, 0)
    assert len(people.processes) == len(publishers.pids) == WORKERS
    for log in people.logs[: len(MIXED)]:  # one of each kind
        for kind, faulty in planted(log).items():
            assert check(publishers.log, [faulty]).count(kind), f"{kind} of {log.client} goes unseen"
