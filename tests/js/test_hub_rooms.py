"""Subscriptions of Hub against a scripted server: their tokens, their ends, and those of the server's own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hub_page import HubPage, hub_page
from playwright.async_api import Page
from protocol_server import ProtocolSocket
from scripted_server import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

POSITION = {"recoverable": True, "positioned": True, "epoch": "e"}
RECOVERY = {"recover": True, "epoch": "e"}
TOKENS = """([room]) => {
  window.asked = 0;
  openRoom(room, { getToken: async (name) => `${name} ${++asked}` }).subscribe();
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def hub(page: Page, server: ScriptedServer) -> AsyncIterator[HubPage]:
    async with hub_page(page, server.url) as hub:
        await hub.js("() => (Math.random = () => 0)")  # no chance in the delays
        await hub.open(minDelay=10)
        yield hub


async def test_what_a_room_asks_for_is_in_its_command(hub: HubPage, server: ScriptedServer) -> None:
    since = {"epoch": "e", "offset": 3}
    await hub.enter("a", since=since, recoverable=True, joinLeave=True, data={"name": "ada"})
    socket = await ProtocolSocket.connected(server)
    asked = await socket.answer("subscribe")
    wanted = {"recoverable": True, "join_leave": True, "data": {"name": "ada"}}
    assert asked == {"channel": "a", **wanted, **RECOVERY, "offset": 3}
    await hub.event("a", "subscribed")
    assert await hub.js("hub.room('a').position") is None  # nothing can be recovered in this room
    await hub.js("() => openRoom('b').subscribe({ since: { epoch: 'e', offset: 4, publications: [] } })")
    assert await socket.answer("subscribe") == {"channel": "b", **RECOVERY, "offset": 4}


async def test_a_room_is_one_object_and_subscribing_twice_is_once(
    hub: HubPage, server: ScriptedServer
) -> None:
    await hub.js("() => { for (let i = 0; i < 3; i += 1) hub.room('a').subscribe(); }")
    assert await hub.js("hub.room('a') === hub.room('a')")
    socket = await ProtocolSocket.connected(server)
    await socket.answer("subscribe")
    await hub.js("() => { hub.room('a').subscribe(); void outcome(hub.rpc('x')); }")
    await socket.request("rpc")


async def test_unsubscribing_is_told_and_forgets_the_position(hub: HubPage, server: ScriptedServer) -> None:
    await hub.enter("a")
    socket = await ProtocolSocket.connected(server)
    await socket.answer("subscribe", **POSITION, offset=5)
    await hub.event("a", "subscribed")
    await hub.js("() => hub.room('a').unsubscribe()")
    assert await socket.answer("unsubscribe") == {"channel": "a"}
    assert (await hub.event("a", "unsubscribed"))["code"] == 0
    await socket.push("a", pub={"data": "late"})
    await hub.js("() => hub.room('a').subscribe()")
    assert await socket.answer("subscribe", **POSITION, offset=6) == {"channel": "a"}
    await hub.event("a", "subscribed", 2)
    assert await hub.data("a") == []


@pytest.mark.parametrize(("code", "comes_back"), [(2000, False), (2499, False), (2500, True), (2502, True)])
async def test_put_out_it_comes_back_only_after_some_codes(
    hub: HubPage, server: ScriptedServer, code: int, comes_back: bool
) -> None:
    await hub.enter("a")
    socket = await ProtocolSocket.connected(server)
    await socket.answer("subscribe", **POSITION, offset=5)
    await socket.push("a", pub={"data": 1, "offset": 6})
    await socket.push("a", unsubscribe={"code": code, "reason": "said so"})
    if comes_back:
        assert await socket.answer("subscribe") == {"channel": "a", **RECOVERY, "offset": 6}
        await hub.event("a", "subscribed", 2)
    else:
        ended = await hub.event("a", "unsubscribed")
        assert (ended["code"], ended["reason"]) == (code, "said so")
        assert await hub.js("hub.room('a').state") == "unsubscribed"


async def test_a_temporary_refusal_is_tried_again_and_another_is_not(
    hub: HubPage, server: ScriptedServer
) -> None:
    await hub.enter("a")
    socket = await ProtocolSocket.connected(server)
    await socket.refuse("subscribe", 100, temporary=True)
    assert (await hub.event("a", "error"))["error"]["code"] == 100
    await socket.refuse("subscribe", 103)
    ended = await hub.event("a", "unsubscribed")
    assert (ended["code"], ended["reason"]) == (103, "error 103")


async def test_a_rooms_token_is_fetched_renewed_and_kept(hub: HubPage, server: ScriptedServer) -> None:
    await hub.js(TOKENS, "a")
    socket = await ProtocolSocket.connected(server)
    asked = await socket.answer("subscribe", expires=True, ttl=1)
    assert asked == {"channel": "a", "token": "a 1"}
    assert await socket.answer("sub_refresh", expires=True, ttl=600) == {"channel": "a", "token": "a 2"}
    await hub.js("() => void outcome(hub.rpc('x'))")
    await socket.request("rpc")
    await socket.close(3001)
    again = await ProtocolSocket.connected(server)
    assert (await again.answer("subscribe"))["token"] == "a 2"


async def test_an_old_token_of_a_room_is_replaced(hub: HubPage, server: ScriptedServer) -> None:
    await hub.js(TOKENS, "a")
    socket = await ProtocolSocket.connected(server)
    await socket.refuse("subscribe", 109)
    assert (await socket.answer("subscribe"))["token"] == "a 2"
    await hub.event("a", "subscribed")
    await socket.push("a", unsubscribe={"code": 2501, "reason": "expired"})
    assert (await socket.answer("subscribe"))["token"] == "a 3"


async def test_what_is_asked_in_a_room_waits_for_its_token_and_nothing_else_does(
    hub: HubPage, server: ScriptedServer
) -> None:
    socket = await ProtocolSocket.connected(server)
    await hub.event("hub", "connected")
    await hub.js("""() => {
        const token = new Promise((done) => (window.fetched = done));
        openRoom("slow", { getToken: () => token }).subscribe();
        hub.room("slow").publish("first");
        hub.room("other").publish("second");
    }""")
    assert await socket.answer("publish") == {"channel": "other", "data": "second"}
    await hub.js("fetched('token')")
    assert [next(iter(one)) for one in map(without_id, await socket.frame())] == ["subscribe", "publish"]


def without_id(command: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in command.items() if name != "id"}


async def test_a_token_that_cannot_be_fetched_is_told_and_fetched_again(
    hub: HubPage, server: ScriptedServer
) -> None:
    await hub.js("""() => {
        let asked = 0;
        const getToken = async () => { if (++asked < 2) throw new Error("no token today"); return "token"; };
        openRoom("a", { getToken }).subscribe();
    }""")
    socket = await ProtocolSocket.connected(server)
    assert (await hub.event("a", "error"))["error"]["message"] == "no token today"
    assert (await socket.answer("subscribe"))["token"] == "token"


async def test_rooms_of_the_server_are_told_recovered_and_ended(hub: HubPage, server: ScriptedServer) -> None:
    await hub.js("() => hub.addEventListener('room', ({ detail }) => openRoom(detail.room.name))")
    socket = await ProtocolSocket.connected(server, subs={"news": {**POSITION, "offset": 1}, "plain": {}})
    await hub.event("plain", "subscribed")
    assert [one["room"] for one in await hub.events("hub", "room")] == ["news", "plain"]
    await socket.push("news", pub={"data": "second", "offset": 2})
    await socket.push("late", subscribe={**POSITION, "offset": 8})
    await hub.event("late", "subscribed")
    await socket.close(3010)

    again = await ProtocolSocket.accepted(server)
    missed = {**POSITION, "offset": 2, "recovered": True, "was_recovering": True}
    missed["publications"] = [{"data": "third", "offset": 3}]
    request = await again.answer("connect", client="me", subs={"news": missed})
    assert request["subs"] == {"news": {**RECOVERY, "offset": 2}, "late": {**RECOVERY, "offset": 8}}
    await hub.event("late", "unsubscribed")
    await hub.event("plain", "unsubscribed")
    assert await hub.data("news") == ["second", "third"]
    await again.push("news", unsubscribe={"code": 2500, "reason": "insufficient state"})
    assert (await hub.event("news", "unsubscribed"))["code"] == 2500


async def test_presence_and_history_are_read_as_the_server_writes_them(
    hub: HubPage, server: ScriptedServer
) -> None:
    socket = await ProtocolSocket.connected(server)
    ada = {"user": "", "client": "1", "conn_info": {"name": "ada"}}
    await hub.js("""() => {
        const room = hub.room("a");
        window.got = Promise.all([room.presence(), room.presenceStats(), room.history()]);
    }""")
    await socket.answer("presence", presence={"1": ada})
    await socket.answer("presence_stats", num_clients=2, num_users=1)
    assert await socket.answer("history", epoch="e", offset=4) == {"channel": "a", "limit": 100}
    history = {"publications": [], "epoch": "e", "offset": 4}
    assert await hub.js("got") == [[ada], {"clients": 2, "users": 1}, history]
