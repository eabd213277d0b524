"""What comes together is written together."""

import json
from contextlib import AsyncExitStack

import pytest
from starlette.applications import Starlette

from hubbub import Allow, Hub
from hubbub.testing import Client, connect, running

BURST = 16


class CountingHub(Hub):
    """Counts how often what was published is written before the turn of the event loop ends."""

    flushes = 0

    def flush(self) -> None:
        """Count, and flush."""
        self.flushes += 1
        super().flush()


@pytest.fixture
def hub() -> CountingHub:
    hub = CountingHub("memory://", anonymous=True)
    hub.room("{name}", allow_subscribe=Allow.ANYONE, allow_publish=Allow.ANYONE)
    return hub


async def say(client: Client, *commands: dict[str, object]) -> None:
    for command in commands:
        await client.send(json.dumps(command))


async def pushed(client: Client, timeout: float = 5) -> object:  # noqa: ASYNC109 - the client's own word
    return (await client.receive_json(timeout=timeout))["push"]["pub"]["data"]


async def test_a_burst_of_publications_is_not_flushed_with_each_reply(hub: CountingHub) -> None:
    app = Starlette(routes=hub.routes, lifespan=hub.lifespan)
    async with running(app) as state, AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(connect(app, "/connection/websocket", state=state))
            for _ in range(2)
        ]
        for client in both:
            await say(client, {"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": "r"}})
            assert (await client.receive_json())["id"] == 1
            assert (await client.receive_json())["id"] == 2
        hub.flushes = 0
        await say(both[0], *({"id": n, "publish": {"channel": "r", "data": n}} for n in range(3, 3 + BURST)))
        got = [await pushed(both[1])]
        while len(got) < BURST:  # the others came in the same turn of the event loop
            got.append(await pushed(both[1], timeout=0))
        assert hub.flushes == 0
    assert got == list(range(3, 3 + BURST))


async def test_a_publisher_hears_its_publications_before_the_answers_to_them(hub: CountingHub) -> None:
    app = Starlette(routes=hub.routes, lifespan=hub.lifespan)
    async with running(app) as state, connect(app, "/connection/websocket", state=state) as client:
        await say(client, {"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": "r"}})
        assert [(await client.receive_json())["id"] for _ in range(2)] == [1, 2]
        await say(client, *({"id": n, "publish": {"channel": "r", "data": n}} for n in (3, 4)))
        assert [await pushed(client) for _ in range(2)] == [3, 4]
        answers = str(await client.receive())
        assert answers.splitlines() == ['{"id":3,"publish":{}}', '{"id":4,"publish":{}}']
