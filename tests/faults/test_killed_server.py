"""``sqlite://``: what was acknowledged before kill -9 is there after a restart."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from checker import check
from delivery_logs import ClientLog, Joined, Place, Received
from figures import Figures, sized
from members import Data, Member
from mixed_crowd import Crowd
from nodes import kill, nodes
from polling import eventually
from publishers import HttpLink, Press, press
from server_process import ServerProcess

pytestmark = pytest.mark.timeout(sized(120, 120))

ROOMS = [f"kept:{number}" for number in range(4)]
FOREVER = 1_000_000


async def kept(port: int, room: str) -> ClientLog:
    """All that the server remembers of a room, as if a client had received it."""
    link = HttpLink(port)
    try:
        status, answer = await link.request("GET", f"/history?room={room}")
    finally:
        link.close()
    assert status == 200
    log = ClientLog("the history", room, [Joined(0, Place(answer["position"]["epoch"], 0))])
    for one in answer["kept"]:
        data = msgspec.json.decode(one["data"], type=Data)
        log.events.append(
            Received(0, Place(one["epoch"], one["offset"]), data.room, data.publisher, data.sequence)
        )
    return log


async def killed_in_the_middle(server: ServerProcess, publishers: Press, after: int) -> None:
    """Publish without a pause, and kill the process once so many were acknowledged."""
    publishing = asyncio.create_task(publishers.run(FOREVER))
    await eventually(lambda: publishers.accepted >= after or publishing.done(), 60)
    kill(server.process.pid)
    publishers.stopped.set()
    await publishing


async def test_every_acknowledged_publish_survives_kill_9_of_the_server(
    tmp_path: Path, figures: Figures
) -> None:
    broker = f"sqlite:///{tmp_path / 'hub.db'}"
    people = Crowd(Member("", room, f"member {number}") for room in ROOMS for number in range(4))
    try:
        with nodes(broker, tmp_path, workers=1, name="first") as server:
            people.move(server.ws(""))
            await people.come()
            async with press(server.port, ROOMS, 20) as before:
                await killed_in_the_middle(server, before, sized(500, 10_000))
        with nodes(broker, tmp_path, workers=1, name="second") as server:
            people.move(server.ws(""))
            histories = [await kept(server.port, room) for room in ROOMS]
            async with press(server.port, ROOMS, 10, name="later") as after:
                await after.run(each=20)
                await people.reach(after.places)
    finally:
        await people.go()
    in_history = check(before.log, histories)
    verdict = check([*before.log, *after.log], people.logs)
    figures(f"kept: {in_history.figures}; received: {verdict.figures}")
    in_history.prove()
    verdict.prove()
    assert before.accepted >= sized(500, 10_000)
    assert (verdict.recovered, verdict.unrecovered, verdict.gaps) == (len(people.members), 0, 0)
    # The epoch is the same, and the checker found that the offsets go on.
    assert {log.room: log.events[-1].place.epoch for log in histories} == {
        room: place.epoch for room, place in after.places.items()
    }
