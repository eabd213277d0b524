"""Who comes back with a position gets exactly what it missed, or is told that it does not."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from checker import check
from cluster import WORKERS, Cluster
from delivery_logs import ClientLog, Joined, Place, Received
from figures import Figures, sized
from members import Member
from mixed_crowd import Crowd, crowd
from polling import eventually
from publishers import HttpLink, press

pytestmark = pytest.mark.timeout(sized(120, 120))

WINDOW = 10
"""Publications that the app keeps in rooms called ``small:``; in ``brief:`` it keeps them for a second."""

EACH = 3
"""Members with the same position; both processes serve some of them."""


def resumed(log: ClientLog) -> tuple[bool | None, list[int]]:
    """What the client was told when it came, and the offsets that it then got."""
    first, *rest = log.events
    assert isinstance(first, Joined)
    return first.recovered, [event.place.offset for event in rest if isinstance(event, Received)]


async def come_back(cluster: Cluster, room: str, places: list[Place]) -> list[Crowd[Member]]:
    """Clients that come with these positions, as if they had been there before."""
    crowds = [
        Crowd(Member(cluster.ws, room, f"from {place}", place=place) for _ in range(EACH)) for place in places
    ]
    await asyncio.gather(*(people.come() for people in crowds))
    for people in crowds:
        await people.spread(WORKERS)
    return crowds


async def outcomes(
    cluster: Cluster, room: str, epoch: str, offsets: list[tuple[str, int]]
) -> dict[tuple[str, int], tuple[bool | None, list[int]]]:
    """What became of clients with these positions, up to a publication after they had come; for ``""`` the
    room's epoch is put in."""
    crowds = await come_back(cluster, room, [Place(name or epoch, offset) for name, offset in offsets])
    try:
        async with press(cluster.port, [room], 1, name=f"marker of {room} {time.monotonic()}") as marker:
            await marker.run(each=1)
            for people in crowds:
                await people.reach(marker.places)
    finally:
        await asyncio.gather(*(people.go() for people in crowds))
    found = {}
    for position, people in zip(offsets, crowds, strict=True):
        seen = [resumed(log) for log in people.logs]
        assert all(one == seen[0] for one in seen), f"different answers for {position}: {seen}"
        found[position] = seen[0]
    return found


async def test_the_window_is_exact(cluster: Cluster, figures: Figures) -> None:
    room, top = f"small:{cluster.prefix}", 25
    async with press(cluster.port, [room], 1, name=cluster.prefix) as publishers:
        await publishers.run(each=top)
    epoch = publishers.places[room].epoch
    marker, oldest = top + 1, top - WINDOW + 1
    positions = [("", top), ("", top - 1), ("", oldest - 1), ("", oldest - 2), ("", 0), ("", top + 1)]
    positions += [("", top + 1_000_000), ("another", top), ("another", 0), ("another", oldest)]
    found = await outcomes(cluster, room, epoch, positions)
    figures(f"{len(positions)} positions, {EACH} clients each: {found}")
    assert found == {
        ("", top): (True, [marker]),
        ("", top - 1): (True, [top, marker]),
        ("", oldest - 1): (True, [*range(oldest, marker + 1)]),
        **dict.fromkeys(positions[3:], (False, [marker])),
    }


async def test_what_has_expired_is_not_recovered(cluster: Cluster, figures: Figures) -> None:
    room, top = f"brief:{cluster.prefix}", 3
    async with press(cluster.port, [room], 1, name=cluster.prefix) as publishers:
        await publishers.run(each=top)
    link = HttpLink(cluster.port)

    async def empty() -> bool:
        status, answer = await link.request("GET", f"/history?room={room}")
        return status == 200 and not answer["kept"]

    look: Callable[[], bool | Awaitable[bool]] = empty

    try:
        await eventually(look)
    finally:
        link.close()
    found = await outcomes(cluster, room, publishers.places[room].epoch, [("", top), ("", top - 1), ("", 0)])
    figures(f"{found}")
    lost = (False, [top + 1])
    assert found == {("", top): (True, [top + 1]), ("", top - 1): lost, ("", 0): lost}


async def test_a_room_that_was_empty_is_continued_from_its_beginning(
    cluster: Cluster, figures: Figures
) -> None:
    rooms = cluster.rooms(3)
    async with (
        crowd(cluster.ws, rooms, EACH) as people,
        press(cluster.port, rooms, 1, name=cluster.prefix) as one,
    ):
        await people.go()
        await one.run(each=6)
        await people.come()
        await people.reach(one.places)
    verdict = check(one.log, people.logs)
    figures(verdict.figures)
    verdict.prove()
    assert verdict.recovered == len(people.members)
    assert verdict.deliveries == len(people.members) * 2
