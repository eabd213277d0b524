"""A thousand members of one room, and one that never reads, on stock uvicorn."""

import asyncio
import json
import resource
from collections.abc import Iterator
from contextlib import closing

import pytest
from crowd import Member, come, frame, text
from polling import eventually
from raw_client import RawClient
from servers import Server, serving
from websockets.asyncio.client import ClientConnection, connect

MEMBERS = 1_000
SIZE = 1_024
OUTBOX = 1_048_576
WINDOW = 8
"""Messages that the publisher is ahead of the members: it waits for them, not for the stalled one."""


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MEMBERS + 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    folder = tmp_path_factory.mktemp("crowd")
    # Only the outbox shall close anybody here.
    environment = {"HUB_APP_LIMITS": json.dumps({"send_timeout": 60.0, "close_timeout": 60.0})}
    try:
        # Without compression and pings of the server's own: members compare what comes byte by byte.
        options = "--ws-per-message-deflate false --ws-ping-interval 0"
        with serving("hub_app:app", folder, options=options, environment=environment) as server:
            yield server
            assert "Traceback" not in server.log
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Publisher:
    """Sends numbered messages to the room through one socket; keeps the stream that members have to see."""

    def __init__(self, socket: ClientConnection, stream: bytearray) -> None:
        self._socket = socket
        self.stream = stream
        self.number = 0

    async def publish(self, count: int, members: list[Member]) -> None:
        """Publish, never more than the window ahead of the members."""
        for _ in range(count):
            self.stream += frame(self.number, SIZE)
            await self._socket.send(text(self.number, SIZE))
            self.number += 1
            if self.number % WINDOW == 0:
                await arrived(members, len(self.stream))
        await arrived(members, len(self.stream))


async def arrived(members: list[Member], length: int) -> None:
    """Wait until all of them have the stream up to there."""
    behind = members

    def all_have_it() -> bool:
        nonlocal behind
        assert not (faults := {one.fault for one in behind if one.fault}), faults
        behind = [one for one in behind if one.position < length]
        return not behind

    await eventually(all_have_it, seconds=20)


@pytest.mark.timeout(90)
async def test_a_thousand_members_do_not_wait_for_one_that_never_reads(server: Server) -> None:
    stream = bytearray()
    async with connect(f"{server.ws}/room/crowd", max_queue=None) as source:
        publisher = Publisher(source, stream)
        members = await come(server.port, MEMBERS, lambda: Member("/room/crowd", stream))
        # The stalled one is in the room, and alone in a second one, by which its outbox is filled first.
        with closing(await RawClient.open(f"{server.ws}/both/crowd/flood", 4_096)) as stalled:
            await eventually(lambda: server.get("/state")["rooms"] == {"crowd": MEMBERS + 2, "flood": 1})
            await publisher.publish(2 * WINDOW, members)
            memory = server.memory()

            await fill(server, "flood", OUTBOX - 60 * SIZE)
            await publisher.publish(40, members)
            assert server.get("/state")["slow"] == 0, "within 1 MiB nobody is closed"
            await publisher.publish(40, members)
            state = server.get("/state")
            assert state["slow"] == 1, "past it the stalled one is, and nobody else"
            assert state["rooms"] == {"crowd": MEMBERS + 1}

            members = await stir(server, publisher, members)
            await publisher.publish(2 * WINDOW, members)
            assert server.memory("VmHWM") - memory < 30 * 1_048_576

            # Once the stalled one reads again, it finds what was sent, and then why it was closed.
            messages, code = await stalled.read_to_the_end()
            assert code == 1013
            assert {len(one) for one in messages} == {SIZE}
        for member in members:
            member.drop()
    await eventually(lambda: server.get("/state")["connections"] == 0, seconds=15)


async def stir(server: Server, publisher: Publisher, members: list[Member]) -> list[Member]:
    """Let members vanish, leave and come while messages are published; return who is there in the end."""
    vanishing, leaving, staying = members[:20], members[20:40], members[40:]
    publishing = asyncio.create_task(publisher.publish(60, staying))
    newcomers: list[Member] = []
    for gone, left in zip(vanishing, leaving, strict=True):
        gone.drop()
        left.leave()
        newcomers += await come(server.port, 1, lambda: Member("/room/crowd", publisher.stream))
    await publishing
    assert {one.start for one in staying} == {0}, "who stayed has missed nothing"
    await eventually(lambda: server.get("/state")["rooms"]["crowd"] == len(staying) + len(newcomers) + 1)
    return staying + newcomers


async def fill(server: Server, room: str, size: int) -> None:
    """Publish to the room until so many bytes wait in the outbox of its one member, who does not read."""
    while (waiting := server.get(f"/waiting/{room}")) < size:
        count = min(200, (size - waiting + SIZE - 1) // SIZE)
        server.get(f"/publish/{room}?text={'x' * SIZE}&count={count}", method="POST")
        await asyncio.sleep(0)
