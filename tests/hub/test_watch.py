"""The heartbeat, writes that are stuck, and handlers that do not read."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import pytest
from guests import Guest, guest, route
from polling import DEADLINE, eventually, turns
from starlette.websockets import WebSocket

from hubbub import Connection, Disconnected, Heartbeat, Hub, Limits
from hubbub.testing import Client, connect

BEAT = Heartbeat(interval=0.1, timeout=0.1)


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    limits = Limits(send_timeout=0.1, close_timeout=0.2, inbox_messages=3, message_bytes=100)
    async with Hub(heartbeat=BEAT, limits=limits) as hub:
        yield hub


async def pings(client: Client, count: int) -> None:
    for _ in range(count):
        assert await client.receive_json(timeout=DEADLINE) == {"type": "ping"}


async def test_only_clients_that_opted_in_are_asked(hub: Hub) -> None:
    async with guest(hub, "/?heartbeat=1") as ada, guest(hub, "/?heartbeat=10") as bob:
        await pings(ada.client, 1)
        assert await bob.received() == []
        assert (ada.me.heartbeat, bob.me.heartbeat) == (True, False)


@pytest.mark.parametrize("pong", ["pong", '{"type":"pong"}', {"type": "pong"}])
async def test_a_client_that_answers_stays_and_its_pongs_are_swallowed(hub: Hub, pong: object) -> None:
    got: list[object] = []

    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket, heartbeat=True) as me:
            async for message in me:
                got.append(message)
                await me.close()

    async with connect(route(handler)) as client:
        for _ in range(4):
            await pings(client, 1)
            await client.send(pong)
        await client.send("real")
        await client.wait_closed()
    assert got == ["real"]
    assert hub.stats.dead == 0


async def test_without_the_heartbeat_a_pong_is_a_message_like_any_other(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me:
            await me.send(await me.receive())

    async with connect(route(handler)) as client:
        await client.send("pong")
        assert await client.receive() == "pong"


async def test_a_silent_client_is_closed_and_forgotten(hub: Hub) -> None:
    began = monotonic()
    async with guest(hub, "/?heartbeat=1", rooms=("r",)) as ada:
        end = await ada.client.wait_closed(timeout=DEADLINE)
        assert (end.code, end.reason) == (1011, "heartbeat timeout")
        assert monotonic() - began >= BEAT.interval + BEAT.timeout
        assert (hub.connection_count, hub.rooms, hub.stats.dead) == (0, [], 1)


async def test_a_silent_client_that_does_not_even_read_is_forgotten_as_fast(hub: Hub) -> None:
    async with guest(hub, "/?heartbeat=1", rooms=("r",)) as ada:
        ada.client.pause()
        await eventually(lambda: hub.connection_count == 0)
        assert hub.rooms == []


async def test_a_handler_that_only_sends_notices_that_its_client_has_gone(hub: Hub) -> None:
    ended = asyncio.Event()

    async def ticker(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me:
            await eventually(lambda: me.closed)
        ended.set()

    async with connect(route(ticker)) as client:
        await client.close()
        async with asyncio.timeout(DEADLINE):
            await ended.wait()
    assert hub.connection_count == 0


async def test_a_handler_that_only_sends_answers_the_heartbeat(hub: Hub) -> None:
    async with held(hub, "/?heartbeat=1") as (ada, _):
        for _ in range(3):
            await pings(ada.client, 1)
            await ada.client.send("pong")
        assert ada.me.closed is None


async def test_what_came_while_the_handler_was_busy_is_kept_in_order(hub: Hub) -> None:
    async with held(hub) as (ada, work):
        for number in range(10):
            await ada.client.send(str(number))
        await eventually(lambda: ada.me.transport.backlogged)
        work.set()
        assert [await ada.client.receive() for _ in range(10)] == [f"echo {n}" for n in range(10)]


async def test_what_was_read_before_the_client_went_is_still_received(hub: Hub) -> None:
    got: list[object] = []

    async def busy(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me:
            await eventually(lambda: me.closed)
            got.extend([message async for message in me])

    async with connect(route(busy)) as client:
        await client.send("a")
        await client.send("b")
        await client.close()
    assert got == ["a", "b"]


async def test_a_client_that_waits_for_a_busy_handler_is_not_dead(hub: Hub) -> None:
    async with held(hub, "/?heartbeat=1") as (ada, work):
        for _ in range(5):
            await ada.client.send("x")
        await eventually(lambda: ada.me.transport.backlogged)
        await asyncio.sleep(3 * (BEAT.interval + BEAT.timeout))  # longer than a silent client may live
        assert ada.me.closed is None
        work.set()
        await eventually(lambda: not ada.me.transport.backlogged)


@pytest.mark.parametrize("end", ["close", "drop", "too big", "by the hub"])
async def test_reading_ahead_leaves_no_task_behind(hub: Hub, end: str) -> None:
    before = len(asyncio.all_tasks())
    async with held(hub) as (ada, work):
        # The app's task, and the one that reads ahead.
        await eventually(lambda: len(asyncio.all_tasks()) == before + 2)
        if end == "close":
            await ada.client.close()
        elif end == "drop":
            ada.client.drop()
        elif end == "too big":
            await ada.client.send("x" * 101)
            assert (await ada.client.wait_closed()).code == 1009
        else:
            await ada.me.close()
        await eventually(lambda: ada.me.closed)
        work.set()
    await eventually(lambda: len(asyncio.all_tasks()) == before)


async def test_a_write_that_is_stuck_too_long_closes_with_1013(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        ada.client.pause()
        await hub.broadcast_to_room("r", "a few bytes")
        await eventually(lambda: hub.stats.slow)
        assert (hub.connection_count, hub.rooms) == (0, [])
        ada.client.resume()
        assert (await ada.client.wait_closed()).code == 1013


async def test_a_client_that_takes_not_even_the_close_is_dropped(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        ada.client.pause()
        await hub.broadcast_to_room("r", "a few bytes")
        end = await ada.client.wait_closed(timeout=DEADLINE)  # its handler has ended, without a close frame
        assert end.code == 1006
        assert ada.me.closed is not None


async def test_a_slow_client_that_takes_something_now_and_then_stays() -> None:
    async with Hub(limits=Limits(send_timeout=1)) as hub, guest(hub, rooms=("r",)) as ada:
        for number in range(6):  # longer than the limit in all, and each time far from it
            ada.client.pause()
            await hub.broadcast_to_room("r", str(number))
            await asyncio.sleep(0.2)
            ada.client.resume()
            assert await ada.client.receive() == str(number)
        assert (ada.me.closed, hub.stats.slow) == (None, 0)


class held:
    """A guest whose handler reads nothing until it is told to; then it answers each message."""

    def __init__(self, hub: Hub, url: str = "/") -> None:
        self._hub = hub
        self._work = asyncio.Event()
        self._came: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._client = connect(route(self._handle), url)

    async def _handle(self, websocket: WebSocket) -> None:
        async with self._hub.connection(websocket) as me:
            self._came.set_result(me)
            await self._work.wait()
            async for message in me:
                await me.send(f"echo {message!s}")

    async def __aenter__(self) -> tuple[Guest, asyncio.Event]:
        client = await self._client.__aenter__()
        return Guest(client, await self._came), self._work

    async def __aexit__(self, *error: object) -> bool | None:
        self._work.set()
        await turns()
        return await self._client.__aexit__(*error)  # type: ignore[arg-type]


async def test_disconnected_is_what_a_late_receive_gets(hub: Hub) -> None:
    async with held(hub) as (ada, _):
        await ada.client.close(3000)
        await eventually(lambda: ada.me.closed)
        with pytest.raises(Disconnected) as caught:
            await ada.me.receive()
        assert caught.value.code == 3000
