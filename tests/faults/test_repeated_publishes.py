"""A publish that is sent several times appears once, whichever process it reaches."""

import asyncio
import random
import time
from itertools import count

import pytest
from checker import check
from cluster import WORKERS, Cluster
from delivery_logs import Outcome, Place, Published
from figures import Figures, sized
from mixed_crowd import crowd
from publishers import HttpLink, spread

pytestmark = pytest.mark.timeout(sized(120, 120))

LINKS = 12


class Repeater:
    """Sends every publish one to three times, over one or several connections.

    Args:
        cluster: where to.
        rooms: which it publishes to in turn.
    """

    def __init__(self, cluster: Cluster, rooms: list[str]) -> None:
        self._chance = random.Random(7)
        self._rooms = rooms
        self._prefix = cluster.prefix
        self._links = [HttpLink(cluster.port) for _ in range(LINKS)]
        self._numbers = count()
        self.log: list[Published] = []
        self.sent = 0

    async def come(self, processes: int) -> None:
        """Connect, to so many processes at least."""
        await spread(self._links, processes)

    async def run(self, publishes: int) -> None:
        """So many publishes, several of them at a time."""

        async def work(links: list[HttpLink]) -> None:
            while (number := next(self._numbers)) < publishes:
                await self._publish(links, number)

        await asyncio.gather(*(work(self._links[first : first + 3]) for first in range(0, LINKS, 3)))

    async def _publish(self, links: list[HttpLink], number: int) -> None:
        room, started = self._rooms[number % len(self._rooms)], time.monotonic()
        copies = self._chance.randint(1, 3)
        sends = [self._send(link, room, number) for link in links[:copies]]
        if self._chance.random() < 0.5:
            places = await asyncio.gather(*sends)
        else:
            places = [await one for one in sends]
        self.sent += copies
        name = f"{self._prefix} {number}"
        self.log.append(Published(name, 0, room, started, time.monotonic(), Outcome.ACCEPTED, tuple(places)))

    async def _send(self, link: HttpLink, room: str, number: int) -> Place:
        name = f"{self._prefix} {number}"
        data = {"publisher": name, "sequence": 0, "room": room}
        status, answer = await link.request(
            "POST", "/publish", {"room": room, "data": data, "idempotency_key": name}
        )
        assert status == 200, answer
        return Place(answer["epoch"], answer["offset"])

    @property
    def places(self) -> dict[str, Place]:
        """The newest place of each room."""
        return {room: max(one.places[0] for one in self.log if one.room == room) for room in self._rooms}

    def close(self) -> None:
        """Drop the connections."""
        for link in self._links:
            link.close()


async def test_a_publish_that_is_sent_several_times_appears_once(cluster: Cluster, figures: Figures) -> None:
    rooms, publishes = cluster.rooms(4), sized(300, 3_000)
    repeater = Repeater(cluster, rooms)
    try:
        async with crowd(cluster.ws, rooms, 5) as people:
            await repeater.come(WORKERS)
            await repeater.run(publishes)
            await people.reach(repeater.places)
    finally:
        repeater.close()
    verdict = check(repeater.log, people.logs)
    figures(f"{publishes:,} publishes, sent {repeater.sent:,} times; {verdict.figures}")
    verdict.prove()
    assert repeater.sent > publishes
    assert verdict.deliveries == publishes * 5
    # The offsets are as many as the publishes: nothing stands between that nobody received.
    assert sum(place.offset for place in repeater.places.values()) == publishes
