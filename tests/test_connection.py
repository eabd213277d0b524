"""A connection, as its handler sees it, over the in-memory transport."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from guests import guest, route
from polling import eventually, turns
from starlette.websockets import WebSocket, WebSocketDisconnect

from hubbub import Connection, Disconnected, Hub, Limits, Overflow, User
from hubbub.core.errors import InvalidMessage, WrongMessageType
from hubbub.testing import Client, connect

LIMITS = Limits(outbox_bytes=10_000, message_bytes=1_000, close_timeout=0.5, inbox_messages=3)


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub(limits=LIMITS) as hub:
        yield hub


def visit(
    hub: Hub, handler: Callable[[Connection], Awaitable[object]], **arguments: Any
) -> AbstractAsyncContextManager[Client]:
    """A client of a handler in the context manager's style."""

    async def enter(websocket: WebSocket) -> None:
        async with hub.connection(websocket, **arguments) as me:
            await handler(me)

    return connect(route(enter))


# Receiving


@pytest.mark.parametrize(
    ("method", "sent", "received"),
    [
        ("receive", "a", "a"),
        ("receive", b"a", b"a"),
        ("receive_text", "é", "é"),
        ("receive_bytes", b"\x00", b"\x00"),
        ("receive_json", '{"a": 1}', {"a": 1}),
        ("receive_json", "null", None),
    ],
)
async def test_a_message_is_received_in_four_ways(
    hub: Hub, method: str, sent: str | bytes, received: object
) -> None:
    got: list[object] = []

    async def receive(me: Connection) -> None:
        got.append(await getattr(me, method)())

    async with visit(hub, receive) as client:
        await client.send(sent)
        assert (await client.wait_closed()).code == 1000
    assert got == [received]


@pytest.mark.parametrize(
    ("method", "sent", "error"),
    [
        ("receive_text", b"a", WrongMessageType),
        ("receive_bytes", "a", WrongMessageType),
        ("receive_json", b"{}", WrongMessageType),
        ("receive_json", "{", InvalidMessage),
    ],
)
async def test_the_wrong_kind_of_message_is_told_and_closes_with_its_code(
    hub: Hub, method: str, sent: str | bytes, error: Any
) -> None:
    async with visit(hub, lambda me: getattr(me, method)()) as client:
        await client.send(sent)
        assert (await client.receive_json())["type"] == "error"
        assert (await client.wait_closed()).code == error.code


@pytest.mark.parametrize(
    ("method", "sent"),
    [
        ("__aiter__", ["a", b"b"]),
        ("iter_text", ["a", "b"]),
        ("iter_bytes", [b"a", b"b"]),
        ("iter_json", [1, [2]]),
    ],
)
async def test_messages_are_iterated_until_the_client_goes(hub: Hub, method: str, sent: list[object]) -> None:
    got: list[object] = []

    async def iterate(me: Connection) -> None:
        got.extend([message async for message in getattr(me, method)()])
        got.append(me.closed and me.closed.code)

    async with visit(hub, iterate) as client:
        for message in sent:
            await client.send(message)
        await client.close(1001)
    assert got == [*sent, 1001]


async def test_two_tasks_cannot_receive_at_once(hub: Hub) -> None:
    async def greedy(me: Connection) -> None:
        first = asyncio.create_task(me.receive())
        await turns()
        with pytest.raises(RuntimeError, match="already receiving"):
            await me.receive()
        await me.send(await first)

    async with visit(hub, greedy) as client:
        await turns()
        await client.send("x")
        assert await client.receive() == "x"


async def test_a_receive_that_was_given_up_loses_nothing(hub: Hub) -> None:
    async def impatient(me: Connection) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await me.receive()
        await me.send("now")
        await me.send(await me.receive())

    async with visit(hub, impatient) as client:
        assert await client.receive() == "now"
        await client.send("x")
        assert await client.receive() == "x"


async def test_a_message_over_the_limit_closes_with_1009(hub: Hub) -> None:
    async with visit(hub, lambda me: me.wait_closed()) as client:
        await client.send("x" * 1_000)
        await client.send("é" * 500)
        await turns()
        assert client.closed is None
        await client.send("é" * 500 + "x")
        assert (await client.wait_closed()).code == 1009


# Sending


async def test_sending_to_a_client_that_has_gone_says_how_it_went(hub: Hub) -> None:
    seen: list[Disconnected] = []

    async def late(me: Connection) -> None:
        await me.wait_closed()
        for _ in range(2):
            with pytest.raises(Disconnected) as caught:
                await me.send("too late")
            seen.append(caught.value)

    async with visit(hub, late) as client:
        await client.close(3001, "bye")
    assert [(end.code, end.reason) for end in seen] == [(3001, "bye")] * 2
    assert all(isinstance(end, WebSocketDisconnect) for end in seen), "FastAPI's users catch that"


async def test_a_slow_client_makes_send_wait_and_loses_nothing(hub: Hub) -> None:
    sent = 0

    async def stream(me: Connection) -> None:
        nonlocal sent
        await me.receive()
        for number in range(20):
            await me.send(f"{number:03}" + "x" * 5_000)
            sent += 1

    async with visit(hub, stream) as client:
        client.pause()
        await client.send("go")
        await turns()
        assert sent == 0
        client.resume()
        assert [int(str(await client.receive())[:3]) for _ in range(20)] == list(range(20))
        assert (await client.wait_closed()).code == 1000


async def test_a_slow_client_is_closed_1013_in_place_of_what_waits(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada, guest(hub, rooms=("r",)) as bob:
        ada.client.pause()
        for number in range(12):
            await hub.broadcast_to_room("r", f"{number:02}" + "x" * 998)
            await turns(3)
        assert ada.me.closed is not None
        assert ada.me.closed.code == 1013
        assert (hub.stats.slow, hub.room_count("r"), hub.connection_count) == (1, 1, 1)
        assert [int(str(one)[:2]) for one in await bob.received()] == list(range(12))
        ada.client.resume()
        end = await ada.client.wait_closed()
        assert (end.code, end.reason) == (1013, "too slow")


async def test_exactly_what_the_outbox_holds_is_not_too_much(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        ada.client.pause()
        for _ in range(11):  # one is with the server, ten wait
            await hub.broadcast_to_room("r", "x" * 1_000)
            await turns(3)
        assert (ada.me.closed, ada.me.transport.buffered) == (None, 10_000)
        ada.client.resume()
        assert len(await ada.received()) == 11


async def test_a_room_may_drop_its_oldest_for_a_slow_client(hub: Hub) -> None:
    hub.room("feed", overflow=Overflow.DROP_OLDEST)
    async with guest(hub, rooms=("feed",)) as ada:
        ada.client.pause()
        for number in range(20):
            await hub.broadcast_to_room("feed", f"{number:02}" + "x" * 998)
            await turns(3)
        ada.client.resume()
        got = [int(str(one)[:2]) for one in await ada.received()]
        assert got == [0, *range(10, 20)]
        assert hub.stats.dropped == 9
        assert ada.me.closed is None


async def test_a_room_may_keep_the_newest_per_key_for_a_slow_client(hub: Hub) -> None:
    hub.room("prices", overflow=Overflow.KEEP_NEWEST)
    async with guest(hub, rooms=("prices",)) as ada:
        ada.client.pause()
        await hub.broadcast_to_room("prices", "first")
        await turns()
        for number in range(10):
            await hub.broadcast_to_room("prices", f"a{number}", key="a")
            await hub.broadcast_to_room("prices", f"b{number}", key="b")
        await turns()
        ada.client.resume()
        assert await ada.received() == ["first", "a9", "b9"]
        assert hub.stats.dropped == 18


async def test_the_users_own_calls_keep_their_place_among_broadcasts(hub: Hub) -> None:
    async def mixed(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me, me.join("r"):
            await hub.broadcast_to_room("r", "1")
            await websocket.send_text("2")
            await hub.broadcast_to_room("r", "3")
            await websocket.send_bytes(b"4")
            await me.send("5")
            await hub.broadcast("6")
            await websocket.send_json(7)

    async with connect(route(mixed)) as client:
        got = [await client.receive() for _ in range(7)]
        assert got == ["1", "2", "3", b"4", "5", "6", "7"]


# The end


async def test_what_was_published_before_the_close_arrives_before_it(hub: Hub) -> None:
    async def goodbye(me: Connection) -> None:
        await me.join("r")
        await hub.broadcast_to_room("r", "last")
        await me.close(4000, "é" * 100)
        await me.close()

    async with visit(hub, goodbye) as client:
        assert await client.receive() == "last"
        end = await client.wait_closed()
        assert (end.code, end.reason) == (4000, "é" * 61)


async def test_a_close_from_another_task_ends_a_receive_and_a_send(hub: Hub) -> None:
    ends: list[object] = []

    async def wait(me: Connection) -> None:
        async def stuck(action: Awaitable[object]) -> None:
            try:
                await action
            except Disconnected as end:
                ends.append(end.code)

        async with asyncio.TaskGroup() as group:
            group.create_task(stuck(me.receive()))
            group.create_task(stuck(me.send("x")))
            await turns()
            await me.close(4001)

    async with visit(hub, wait) as client:
        client.pause()
        await turns(40)
        client.resume()
        assert (await client.wait_closed()).code == 4001
    assert ends == [4001, 4001]


async def test_the_hub_is_open_to_cancellation_from_elsewhere(hub: Hub) -> None:
    tasks: list[asyncio.Task[object]] = []

    async def wait(me: Connection) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        await me.receive()

    async with visit(hub, wait) as client:
        await eventually(lambda: tasks)
        tasks[0].cancel()
        assert (await client.wait_closed()).code == 1001
        await eventually(lambda: tasks[0].cancelled())


async def test_a_connection_shows_whose_it_is(hub: Hub) -> None:
    shown: list[str] = []

    async def show(me: Connection) -> None:
        shown.append(repr(me))
        assert me.info == {"color": "red"}
        await me.close(4000)
        shown.append(repr(me))

    async with visit(hub, show, user=User("ada"), info={"color": "red"}) as client:
        await client.wait_closed()
    assert shown[0].startswith("<Connection ")
    assert shown[0].endswith("user='ada' open>")
    assert shown[1].endswith("closed 4000>")


async def test_every_connection_has_an_id_that_cannot_be_guessed(hub: Hub) -> None:
    async with guest(hub) as ada, guest(hub) as bob:
        assert ada.me.id != bob.me.id
        assert len(ada.me.id) >= 22
