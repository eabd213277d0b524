"""`Hub.listen` over a broker: what others publish is heard, and what they published before."""

from collections.abc import Iterator

import pytest
from redis_servers import RedisServer, redis_server

from hubbub import BEGINNING, History, Hub


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with redis_server("valkey") as server:
        yield server


async def test_what_another_node_publishes_is_heard_too(valkey: RedisServer) -> None:
    url = valkey.url()
    here, there = Hub(url), Hub(url)
    for hub in (here, there):
        hub.room("kept", history=History(size=10))
    async with here, there:
        await there.broadcast_to_room("kept", "before")
        async with here.listen("kept", since=BEGINNING) as kept, here.listen("news") as news:
            await there.broadcast_to_room("kept", "now")
            await there.broadcast_to_room("news", "too")
            assert [(await anext(kept)).payload for _ in range(2)] == ["before", "now"]
            assert (await anext(news)).payload == "too"
