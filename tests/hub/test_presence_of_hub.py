"""Presence, and what is done to users, as a hub's users see them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from guests import route
from polling import DEADLINE, eventually
from starlette.websockets import WebSocket

from hubbub import ConfigurationError, Disconnected, Hub, HubNotRunning, User
from hubbub.core.presence import Present
from hubbub.testing import Client, connect


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub()
    hub.room("chat:{name}", presence=True)
    async with hub:
        yield hub


@asynccontextmanager
async def visitor(hub: Hub, name: str | None, *rooms: str, info: Any = None) -> AsyncIterator[Client]:
    """A client of that user; None for nobody's."""

    async def stay(websocket: WebSocket) -> None:
        user = User(name) if name else None
        async with hub.connection(websocket, user=user, info=info) as me:
            for room in rooms:
                await me.join(room)
            await me.wait_closed()

    count = hub.connection_count
    async with connect(route(stay)) as client:
        await eventually(lambda: hub.connection_count > count)
        yield client


def names(present: list[Present]) -> list[str | None]:
    return [one.user for one in present]


async def test_users_are_present_once_however_many_tabs_they_have(hub: Hub) -> None:
    async with visitor(hub, "ada", "chat:a", info={"colour": "red"}), visitor(hub, "bob", "chat:a"):
        async with visitor(hub, "ada", "chat:a", "chat:b"):
            await eventually(lambda: hub.room_count("chat:a") == 3)
            present = await hub.presence("chat:a")
            assert names(present) == ["ada", "bob"]
            assert present[0].info == {"colour": "red"}
            assert [len(one.members) for one in present] == [2, 1]
            assert names(await hub.presence("chat:b")) == ["ada"]
        assert names(await hub.presence("chat:a")) == ["ada", "bob"]
        assert names(await hub.presence("chat:b")) == []


async def test_connections_without_a_user_count_each(hub: Hub) -> None:
    async with visitor(hub, None, "chat:a"), visitor(hub, None, "chat:a"):
        await eventually(lambda: hub.room_count("chat:a") == 2)
        assert names(await hub.presence("chat:a")) == [None, None]


async def test_joined_and_left_are_told_once_for_each_user(hub: Hub) -> None:
    told: list[str] = []

    @hub.on_joined
    def joined(room: str, who: Present) -> None:
        told.append(f"{who.user} joined {room}")

    @hub.on_left
    async def left(room: str, who: Present) -> None:
        told.append(f"{who.user} left {room}")

    @hub.on_joined
    def clumsy(room: str, who: Present) -> None:
        raise ZeroDivisionError

    async with visitor(hub, "ada", "chat:a", "plain"), visitor(hub, "ada", "chat:a"):
        await eventually(lambda: hub.room_count("chat:a") == 2)
    await eventually(lambda: len(told) == 2)
    assert told == ["ada joined chat:a", "ada left chat:a"]


async def test_a_room_without_presence_says_so(hub: Hub) -> None:
    with pytest.raises(ConfigurationError, match="presence"):
        await hub.presence("plain")
    with pytest.raises(HubNotRunning):
        await Hub().send_to_user("ada", "x")


async def test_what_cannot_be_told_of_a_member_keeps_it_out(hub: Hub) -> None:
    async def stay(websocket: WebSocket) -> None:
        async with hub.connection(websocket, info={"much": "x" * 2_000}) as me:
            with pytest.raises(ConfigurationError):
                await me.join("chat:a")
            assert me.rooms == []
            await me.join("plain")

    async with connect(route(stay)) as client:
        with pytest.raises(Disconnected):
            await client.receive()


async def test_a_message_to_a_user_reaches_all_its_connections(hub: Hub) -> None:
    async with visitor(hub, "ada") as one, visitor(hub, "ada") as two, visitor(hub, "bob") as other:
        for message in ("text", {"n": 1}, b"\x00\xff"):
            await hub.send_to_user("ada", message)
        await hub.send_to_user("nobody", "lost")
        await hub.broadcast("for all")
        for client in (one, two):
            assert [await client.receive() for _ in range(4)] == ["text", '{"n":1}', b"\x00\xff", "for all"]
        assert await other.receive() == "for all"


async def test_a_user_can_be_disconnected(hub: Hub) -> None:
    async with visitor(hub, "ada", "chat:a") as one, visitor(hub, "ada") as two, visitor(hub, "bob") as other:
        await hub.disconnect_user("ada", 4001, "elsewhere")
        for client in (one, two):
            end = await client.wait_closed()
            assert (end.code, end.reason) == (4001, "elsewhere")
        await hub.broadcast("for all")
        assert await other.receive() == "for all"
        assert names(await hub.presence("chat:a")) == []


async def test_without_a_code_a_disconnected_user_gets_1008(hub: Hub) -> None:
    async with visitor(hub, "ada") as client:
        await hub.disconnect_user("ada")
        end = await client.wait_closed()
        assert (end.code, end.reason) == (1008, "disconnected")


async def test_a_hub_knows_itself_as_a_node(hub: Hub) -> None:
    async with visitor(hub, "ada", "chat:a"):
        (node,) = hub.nodes
        assert node.connections == 1


async def test_a_handler_that_is_told_of_somebody_may_finish_when_the_hub_ends() -> None:
    hub, begun, noted = Hub(), asyncio.Event(), []
    hub.room("r", presence=True)

    @hub.on_joined
    async def joined(room: str, who: Present) -> None:
        begun.set()
        await asyncio.sleep(0.01)
        noted.append(who.user)

    async with AsyncExitStack() as client, hub:
        await client.enter_async_context(visitor(hub, "ada", "r"))
        await asyncio.wait_for(begun.wait(), DEADLINE)
    assert noted == ["ada"]
