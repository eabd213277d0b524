"""The hub over the in-memory transport: rooms and messages."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from guests import guest, route
from polling import DEADLINE, eventually
from starlette.websockets import WebSocket

from hubbub import (
    ConfigurationError,
    Disconnected,
    History,
    HistoryGone,
    Hub,
    Limits,
    Position,
)
from hubbub.core.errors import InvalidMessage, InvalidRoomName, LimitReached
from hubbub.testing import connect


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub(limits=Limits(close_timeout=0.5, rooms_per_connection=2)) as hub:
        yield hub
    assert hub.connection_count == 0


# Messages


@pytest.mark.parametrize("message", ["text", "", b"\x00\xff", b""])
async def test_text_and_bytes_reach_every_member_as_they_are(hub: Hub, message: str | bytes) -> None:
    async with guest(hub, rooms=("r",)) as ada, guest(hub, rooms=("r",)) as bob, guest(hub) as eve:
        published = await hub.broadcast_to_room("r", message)
        assert (published.room, published.payload) == ("r", message)
        assert await ada.client.receive() == message
        assert await bob.client.receive() == message
        assert await eve.received() == []


async def test_anything_else_is_json_text(hub: Hub) -> None:
    async with guest(hub) as ada:
        await hub.broadcast({"n": [1, None]})
        assert await ada.client.receive() == '{"n":[1,null]}'


async def test_a_broadcast_reaches_everybody_whatever_their_rooms(hub: Hub) -> None:
    async with guest(hub) as ada, guest(hub, rooms=("r",)) as bob:
        await hub.broadcast("all")
        assert (await ada.client.receive(), await bob.client.receive()) == ("all", "all")


async def test_a_personal_message_reaches_one_alone_and_keeps_its_place(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada, guest(hub, rooms=("r",)) as bob:
        await hub.broadcast_to_room("r", "1")
        await hub.send_personal("2", ada.me)
        await hub.broadcast_to_room("r", "3")
        assert await ada.received() == ["1", "2", "3"]
        assert await bob.received() == ["1", "3"]


async def test_what_many_tasks_publish_has_one_order_for_all(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada, guest(hub, rooms=("r",)) as bob:
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(hub.broadcast_to_room("r", str(number)))
        seen = await ada.received()
        assert sorted(map(int, seen)) == list(range(100))
        assert await bob.received() == seen


async def test_text_without_a_utf8_form_is_refused_and_harms_nobody(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        with pytest.raises(InvalidMessage):
            await hub.broadcast_to_room("r", "\ud800")
        with pytest.raises(TypeError):
            await hub.broadcast_to_room("r", object())
        await hub.broadcast_to_room("r", "fine")
        assert await ada.received() == ["fine"]


async def test_publishing_without_a_pause_lets_the_others_run(hub: Hub) -> None:
    ran = asyncio.Event()

    async def flood() -> None:
        while not ran.is_set():
            await hub.broadcast_to_room("r", b"")

    async with guest(hub, rooms=("r",)) as ada:
        task = asyncio.create_task(flood())
        async with asyncio.timeout(DEADLINE):
            asyncio.get_running_loop().call_soon(ran.set)
            await task
        assert set(await ada.received()) == {b""}


# Membership


async def test_members_are_those_who_joined_and_have_not_left(hub: Hub) -> None:
    async with guest(hub) as ada, guest(hub, rooms=("r",)) as bob:
        await hub.join("r", ada.me)
        await hub.join("r", ada.me)
        assert hub.room_count("r") == 2
        assert hub.members("r") == [bob.me, ada.me]
        hub.leave("r", bob.me)
        hub.leave("r", bob.me)
        hub.leave("nowhere", bob.me)
        assert hub.members("r") == [ada.me]
        assert (ada.me.rooms, bob.me.rooms) == (["r"], [])
        assert hub.rooms == ["r"]
    assert (hub.rooms, hub.room_count("r"), hub.members("r")) == ([], 0, [])


async def test_a_membership_is_a_context_and_can_be_awaited(hub: Hub) -> None:
    async with guest(hub) as ada:
        async with ada.me.join("r"):
            assert ada.me.rooms == ["r"]
        assert ada.me.rooms == []
        await ada.me.join("s")
        ada.me.leave("s")
        assert hub.rooms == []


async def test_what_was_published_before_a_join_does_not_reach_the_joiner(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada, guest(hub) as bob:
        await hub.broadcast_to_room("r", "before")
        await hub.join("r", bob.me)
        await hub.broadcast_to_room("r", "after")
        assert await bob.received() == ["after"]
        assert await ada.received() == ["before", "after"]


async def test_what_was_published_before_a_leave_still_reaches_the_leaver(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        await hub.broadcast_to_room("r", "before")
        hub.leave("r", ada.me)
        await hub.broadcast_to_room("r", "after")
        assert await ada.received() == ["before"]


async def test_what_was_broadcast_before_somebody_connected_does_not_reach_them(hub: Hub) -> None:
    got: list[object] = []

    async def late(websocket: WebSocket) -> None:
        await websocket.accept()
        await hub.broadcast("before")
        async with hub.connection(websocket) as me:
            await hub.broadcast("after")
            await me.wait_closed()

    async with guest(hub) as ada, connect(route(late)) as bob:
        got.append(await bob.receive())
        assert got == ["after"]
        assert await ada.received() == ["before", "after"]


async def test_what_was_published_before_a_disconnect_still_reaches_the_leaver(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        await hub.broadcast_to_room("r", "to the room")
        await hub.broadcast("to all")
        hub.disconnect(ada.me)
        await hub.broadcast_to_room("r", "after")
        await hub.broadcast("after")
        assert sorted(map(str, await ada.received())) == ["to all", "to the room"]


async def test_a_forgotten_connection_cannot_become_a_ghost(hub: Hub) -> None:
    async with guest(hub) as ada:
        hub.disconnect(ada.me)
        hub.disconnect(ada.me)
        with pytest.raises(Disconnected):
            await hub.join("r", ada.me)
        assert hub.rooms == []
    assert (hub.connection_count, hub.rooms) == (0, [])


async def test_a_closed_connection_cannot_join(hub: Hub) -> None:
    async with guest(hub) as ada:
        ada.client.drop()
        await eventually(lambda: ada.me.closed)
        with pytest.raises(Disconnected):
            await ada.me.join("r")
    assert hub.rooms == []


async def test_a_bad_room_name_is_refused_everywhere(hub: Hub) -> None:
    async with guest(hub) as ada:
        for name in ("", "a b", "*"):
            with pytest.raises(InvalidRoomName):
                await hub.join(name, ada.me)
            with pytest.raises(InvalidRoomName):
                await hub.broadcast_to_room(name, "x")
        hub.leave("*", ada.me)
        await hub.broadcast("still here")
        assert await ada.received() == ["still here"]


async def test_the_number_of_rooms_is_limited_and_joining_again_is_free(hub: Hub) -> None:
    async with guest(hub, rooms=("a", "b")) as ada:
        with pytest.raises(LimitReached, match="2 rooms"):
            await ada.me.join("c")
        await ada.me.join("a")
        ada.me.leave("a")
        await ada.me.join("c")
        assert ada.me.rooms == ["b", "c"]


async def test_a_client_that_goes_leaves_all_its_rooms(hub: Hub) -> None:
    async with guest(hub, rooms=("a", "b")) as ada, guest(hub, rooms=("a",)):
        ada.client.drop()
        await eventually(lambda: hub.room_count("a") == 1)
        assert (hub.rooms, hub.connection_count) == (["a"], 1)


# History


async def test_a_room_with_history_is_read_and_continued(hub: Hub) -> None:
    hub.room("log:{name}", history=History(size=2))
    made = [await hub.broadcast_to_room("log:a", str(number), publisher="ada") for number in range(3)]
    page = await hub.history("log:a")
    assert [(one.payload, one.publisher) for one in page.publications] == [("1", "ada"), ("2", "ada")]
    assert page.position == made[2].position
    assert [one.payload for one in (await hub.history("log:a", since=made[1].position)).publications] == ["2"]
    with pytest.raises(HistoryGone):
        await hub.history("log:a", since=Position("other", 1))
    with pytest.raises(ConfigurationError, match="keeps no history"):
        await hub.history("plain")
    with pytest.raises(ConfigurationError):
        await hub.history("log:a", since=made[1].position, reverse=True)
    with pytest.raises(ConfigurationError, match="negative"):
        await hub.history("log:a", limit=-1)


async def test_a_claim_is_granted_once(hub: Hub) -> None:
    assert [await hub.claim("ticket", 60), await hub.claim("ticket", 60)] == [True, False]


# What is said about a message


@pytest.mark.parametrize(
    ("about", "error"),
    [
        ({"publisher": "\ud800"}, InvalidMessage),
        ({"key": "\ud800"}, InvalidMessage),
        ({"tags": {"\ud800": "a"}}, InvalidMessage),
        ({"tags": {"a": "\ud800"}}, InvalidMessage),
        ({"publisher": 5}, TypeError),
        ({"tags": {"a": 1}}, TypeError),
    ],
)
async def test_what_cannot_be_written_to_all_kinds_of_clients_is_not_published(
    hub: Hub, about: dict[str, Any], error: type[Exception]
) -> None:
    async with guest(hub, rooms=("r",), envelope=True) as ada:
        with pytest.raises(error):
            await hub.broadcast_to_room("r", "a", **about)
        await hub.broadcast_to_room("r", "b", publisher="Zoë", tags={"kind": "good"})
        _, said = await ada.received()
        assert '"data":"b"' in str(said)
