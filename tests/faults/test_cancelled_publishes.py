"""Publishes that are cancelled in mid-flight disturb no other."""

import asyncio
import time

import pytest
from checker import check
from cluster import Cluster
from delivery_logs import Outcome, Place, Published
from figures import Figures, sized
from mixed_crowd import crowd
from publishers import HttpLink, press

pytestmark = pytest.mark.timeout(sized(120, 120))

CANCELS = sized(400, 1_000)
"""In each of two rooms; as many are let alone."""

ON_THEIR_WAY = sized(40, 100)
"""Cancelled publishes that must have been sent already; that is known of those that appear."""

ROUNDS = 20
"""Attempts to have so many."""


async def storm(port: int, room: str, publisher: str) -> list[Published]:
    """Let the app publish twice as many at once, each by a publisher of its own, and cancel every second."""
    started, link = time.monotonic(), HttpLink(port)
    content = {"room": room, "publisher": publisher, "count": CANCELS}
    try:
        status, answers = await link.request("POST", "/storm", content)
    finally:
        link.close()
    assert status == 200, answers
    log = []
    for number, answer in enumerate(answers):
        known = isinstance(answer, dict)
        assert known or answer == "CancelledError", answer
        outcome = Outcome.ACCEPTED if known else Outcome.UNKNOWN
        places = (Place(answer["epoch"], answer["offset"]),) if known else ()
        log.append(Published(f"{publisher} {number}", 0, room, started, time.monotonic(), outcome, places))
    return log


async def test_no_reply_reaches_the_wrong_caller_when_publishes_are_cancelled(
    cluster: Cluster, figures: Figures
) -> None:
    rooms, published, rounds = cluster.rooms(2), list[Published](), 0
    async with (
        crowd(cluster.ws, rooms, 4) as people,
        press(cluster.port, rooms, 1, name=cluster.prefix) as after,
    ):
        while True:
            storms = (storm(cluster.port, room, f"storm {rounds} in {room}") for room in rooms)
            for log in await asyncio.gather(*storms):
                published += log
            await after.run(each=len(rooms))
            await people.reach(after.places)
            # An answer to the wrong caller says that a publication stands where members saw another one.
            verdict = check([*published, *after.log], people.logs)
            rounds += 1
            if verdict.faults or verdict.appeared >= ON_THEIR_WAY or rounds == ROUNDS:
                break
    cancelled = verdict.outcomes[Outcome.UNKNOWN]
    figures(f"{cancelled:,} cancelled, {verdict.appeared:,} of them appeared nevertheless; {verdict.figures}")
    verdict.prove()
    assert cancelled >= CANCELS
    assert verdict.appeared >= ON_THEIR_WAY
