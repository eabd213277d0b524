"""What Hub says to a server, and what it makes of what a server says: against a scripted one."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hub_page import HubPage, frozen_hub_page, hub_page
from playwright.async_api import Browser, Page
from protocol_server import ProtocolSocket
from scripted_server import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

POSITION = {"recoverable": True, "positioned": True, "epoch": "e"}


@pytest_asyncio.fixture(loop_scope="session")
async def hub(page: Page, server: ScriptedServer) -> AsyncIterator[HubPage]:
    async with hub_page(page, server.url) as hub:
        yield hub


@pytest_asyncio.fixture(loop_scope="session")
async def frozen(browser: Browser, server: ScriptedServer) -> AsyncIterator[HubPage]:
    """A page whose clock stands."""
    async with frozen_hub_page(browser, server.url) as hub:
        yield hub


async def pass_time(hub: HubPage, milliseconds: float) -> None:
    await hub.page.clock.run_for(milliseconds)


async def test_it_says_who_it_is_and_hears_who_it_is(hub: HubPage, server: ScriptedServer) -> None:
    await hub.open(token="secret", data={"a": 1}, name="tests")
    socket = await ProtocolSocket.accepted(server)
    assert await socket.answer("connect", client="me", data={"b": 2}) == {
        "token": "secret",
        "data": {"a": 1},
        "name": "tests",
        "subs": {},
    }
    assert await hub.event("hub", "connected") == {
        "where": "hub",
        "type": "connected",
        "client": "me",
        "data": {"b": 2},
    }
    assert await hub.js("[hub.state, hub.client]") == ["connected", "me"]
    assert server.attempts == ["/connection/websocket"]  # the token stays out of the URL


async def test_all_rooms_and_what_waited_share_the_first_frame(hub: HubPage, server: ScriptedServer) -> None:
    await hub.open()
    await hub.js("() => { for (const name of 'abc') openRoom(name).subscribe(); }")
    await hub.js("() => { for (let i = 0; i < 3; i += 1) hub.room('b').publish(i); }")
    socket = await ProtocolSocket.connected(server)
    first = await socket.frame()
    assert [one["subscribe"]["channel"] for one in first[:3]] == ["a", "b", "c"]
    assert [one["publish"] for one in first[3:]] == [{"channel": "b", "data": data} for data in range(3)]
    assert len({one["id"] for one in first}) == 6


async def test_a_frame_has_no_more_than_the_server_takes(hub: HubPage, server: ScriptedServer) -> None:
    await hub.open()
    await hub.js("() => { for (let i = 0; i < 150; i += 1) openRoom(`room:${i}`).subscribe(); }")
    await hub.js("() => { for (let i = 0; i < 3; i += 1) hub.room('b').publish('\\u00e9'.repeat(15_000)); }")
    socket = await ProtocolSocket.connected(server)
    sizes = []
    while sum(sizes) < 153:
        sizes.append(len(await socket.frame()))
    assert sizes == [100, 50, 1, 1, 1]


async def test_a_call_whose_answer_was_lost_is_told_and_not_made_again(
    hub: HubPage, server: ScriptedServer
) -> None:
    await hub.open(minDelay=20)
    socket = await ProtocolSocket.connected(server)
    await hub.event("hub", "connected")
    await hub.js("() => { window.lost = outcome(hub.room('a').publish(1)); }")
    await socket.request("publish")
    await socket.close(3001)
    assert await hub.js("lost") == {
        "failed": {
            "name": "HubError",
            "code": 0,
            "message": "connection lost",
            "temporary": False,
        }
    }
    again = await ProtocolSocket.connected(server)
    await hub.js("() => { window.next = outcome(hub.rpc('add', [1, 2])); }")
    assert await again.answer("rpc", data=3) == {"method": "add", "data": [1, 2]}
    assert await hub.js("next") == {"value": 3}


async def test_calls_made_while_it_is_away_wait_in_order(hub: HubPage, server: ScriptedServer) -> None:
    await hub.open(minDelay=20)
    socket = await ProtocolSocket.connected(server)
    await hub.event("hub", "connected")
    await hub.js("() => openRoom('a').subscribe()")
    await socket.answer("subscribe", **POSITION, offset=7)
    await hub.event("a", "subscribed")
    await socket.close(3001)
    await hub.event("hub", "connecting")
    await hub.js(
        "() => { window.all = Promise.all([1, 2, 3].map((i) => outcome(hub.room('a').publish(i)))); }"
    )
    again = await ProtocolSocket.connected(server)
    frame = await again.frame()
    assert frame[0]["subscribe"] == {"channel": "a", "recover": True, "epoch": "e", "offset": 7}
    assert [one["publish"]["data"] for one in frame[1:]] == [1, 2, 3]
    refused = {"code": 103, "message": "permission denied"}
    await again.send(
        {"id": frame[1]["id"], "publish": {}},
        {"id": frame[3]["id"], "publish": {}},
        {"id": frame[2]["id"], "error": refused},
    )
    failed = {"failed": {"name": "HubError", "temporary": False, **refused}}
    assert await hub.js("all") == [{"value": None}, failed, {"value": None}]


async def test_too_many_calls_and_too_many_bytes_are_refused(hub: HubPage, server: ScriptedServer) -> None:
    server.hang = True
    await hub.open(maxQueue=2)
    await hub.js("() => { hub.room('a').publish(1); hub.room('a').publish(2); }")
    assert (await hub.outcome("hub.room('a').publish(3)"))["failed"]["name"] == "QuotaExceededError"
    await hub.open(maxQueueBytes=100)
    assert (await hub.outcome("hub.rpc('long', 'x'.repeat(100))"))["failed"]["name"] == "QuotaExceededError"
    circular = await hub.outcome(
        "(() => { const data = {}; data.data = data; return hub.rpc('x', data); })()"
    )
    assert circular["failed"]["name"] == "TypeError"


@pytest.mark.parametrize("code", [3500, 3999, 4500, 4999])
async def test_a_terminal_code_ends_it(hub: HubPage, server: ScriptedServer, code: int) -> None:
    await hub.open()
    await hub.enter("a")
    socket = await ProtocolSocket.connected(server)
    number, _ = await socket.request("subscribe")
    await hub.js("() => { window.last = outcome(hub.rpc('x')); }")
    await socket.request("rpc")
    await socket.close(code, "go away")
    ended = await hub.event("hub", "disconnected")
    assert (ended["code"], ended["reason"]) == (code, "go away")
    assert (await hub.event("a", "unsubscribed"))["code"] == code
    assert (await hub.js("last"))["failed"]["code"] == 0
    assert (await hub.outcome("hub.rpc('x')"))["failed"]["code"] == code
    assert await hub.js("hub.state") == "disconnected"
    assert number
    assert len(server.attempts) == 1


@pytest.mark.parametrize("code", [1011, 3000, 3005, 3499, 4000, 4499])
async def test_any_other_code_brings_it_back(hub: HubPage, server: ScriptedServer, code: int) -> None:
    await hub.open(minDelay=10)
    socket = await ProtocolSocket.connected(server)
    await hub.event("hub", "connected")
    await socket.close(code)
    assert (await hub.event("hub", "connecting"))["attempt"] == 1
    await ProtocolSocket.connected(server)
    await hub.event("hub", "connected", 2)


async def test_a_temporary_refusal_is_followed_by_longer_and_longer_waits(
    frozen: HubPage, server: ScriptedServer
) -> None:
    await frozen.open()
    for number, delay in ((1, 1125), (2, 2250), (3, 4500)):
        await (await ProtocolSocket.accepted(server)).refuse("connect", 100, temporary=True)
        waiting = await frozen.event("hub", "connecting", number)
        assert (waiting["attempt"], waiting["delay"]) == (number, delay)
        await pass_time(frozen, delay)
    await ProtocolSocket.connected(server)
    await frozen.event("hub", "connected")


async def test_a_refusal_for_good_ends_it(hub: HubPage, server: ScriptedServer) -> None:
    await hub.open()
    await hub.js("() => { window.waiting = outcome(hub.rpc('x')); }")
    await (await ProtocolSocket.accepted(server)).refuse("connect", 103)
    ended = await hub.event("hub", "disconnected")
    assert (ended["code"], ended["reason"]) == (103, "error 103")
    assert (await hub.js("waiting"))["failed"]["code"] == 103


async def test_close_ends_what_waits(hub: HubPage, server: ScriptedServer) -> None:
    server.hang = True
    await hub.open()
    await hub.js("() => { window.waiting = outcome(hub.rpc('x')); hub.close(); }")
    assert (await hub.js("waiting"))["failed"]["code"] == 1006
    await hub.event("hub", "disconnected")


async def test_pings_are_answered_and_silence_is_noticed(frozen: HubPage, server: ScriptedServer) -> None:
    await frozen.open()
    socket = await ProtocolSocket.connected(server, ping=25, pong=True)
    await frozen.event("hub", "connected")
    await pass_time(frozen, 34_000)
    await socket.send({})
    assert await socket.command() == {}
    await pass_time(frozen, 34_999)
    assert await frozen.events("hub", "connecting") == []
    await pass_time(frozen, 1)
    await frozen.event("hub", "connecting")


async def test_pings_that_want_no_answer_get_none(hub: HubPage, server: ScriptedServer) -> None:
    await hub.open()
    socket = await ProtocolSocket.connected(server, ping=25)
    await hub.event("hub", "connected")
    await socket.send({})
    await hub.js("() => void hub.send('after the ping')")
    assert await socket.command() == {"send": {"data": "after the ping"}}


async def test_a_server_that_does_not_answer_is_given_up(frozen: HubPage, server: ScriptedServer) -> None:
    await frozen.open()
    socket = await ProtocolSocket.accepted(server)
    await socket.request("connect")
    await pass_time(frozen, 10_000)
    await frozen.event("hub", "connecting")


@pytest.mark.parametrize(
    "frame", ["{", "", "null", '{"push": {"channel": "a", "pub": null}}\n]', '"text"\n{']
)
async def test_what_is_not_of_the_protocol_is_met_with_a_new_connection(
    hub: HubPage, server: ScriptedServer, frame: str
) -> None:
    await hub.open(minDelay=10)
    socket = await ProtocolSocket.connected(server)
    await hub.event("hub", "connected")
    await socket.connection.send(frame)
    await hub.event("hub", "connecting")
    await ProtocolSocket.connected(server)
    await hub.event("hub", "connected", 2)


async def test_what_follows_an_answer_in_its_frame_comes_after_it(
    hub: HubPage, server: ScriptedServer
) -> None:
    await hub.open()
    await hub.enter("a")
    socket = await ProtocolSocket.connected(server)
    number, _ = await socket.request("subscribe")
    missed = [{"data": 1, "offset": 1}, {"data": 2, "offset": 2}]
    result = {**POSITION, "offset": 0, "recovered": True, "was_recovering": True, "publications": missed}
    await socket.send(
        {"id": number, "subscribe": result},
        {"push": {"channel": "a", "pub": {"data": 3, "offset": 3, "tags": {"t": "x"}}}},
        {"push": {"channel": "a", "join": {"info": {"user": "u", "client": "c"}}}},
    )
    await hub.event("a", "join")
    assert await hub.events("a") == [
        {
            "where": "a",
            "type": "subscribed",
            "recovered": True,
            "wasRecovering": True,
            "position": {"epoch": "e", "offset": 0},
            "data": None,
        },
        {"where": "a", "type": "publication", "data": 1, "offset": 1},
        {"where": "a", "type": "publication", "data": 2, "offset": 2},
        {"where": "a", "type": "publication", "data": 3, "offset": 3, "tags": {"t": "x"}},
        {"where": "a", "type": "join", "user": "u", "client": "c"},
    ]
    assert await hub.js("hub.room('a').position") == {"epoch": "e", "offset": 3}


async def test_messages_and_ends_by_the_server_are_told(hub: HubPage, server: ScriptedServer) -> None:
    await hub.open(minDelay=10)
    socket = await ProtocolSocket.connected(server)
    await hub.event("hub", "connected")
    await socket.send({"push": {"message": {"data": "psst"}}})
    assert (await hub.event("hub", "message"))["data"] == "psst"
    await socket.send({"push": {"disconnect": {"code": 3001, "reason": "shutdown"}}})
    await hub.event("hub", "connecting")
    again = await ProtocolSocket.connected(server)
    await hub.event("hub", "connected", 2)
    await again.send({"push": {"disconnect": {"code": 3503, "reason": "force disconnect"}}})
    assert (await hub.event("hub", "disconnected"))["code"] == 3503


async def test_without_another_token_the_connection_runs_out(frozen: HubPage, server: ScriptedServer) -> None:
    await frozen.js("""() => {
        const tokens = ["first"];
        void openHub("/connection/websocket", { getToken: () => tokens.pop() ?? null });
    }""")
    socket = await ProtocolSocket.connected(server, expires=True, ttl=10)
    await frozen.event("hub", "connected")
    await pass_time(frozen, 9_000)
    await frozen.js("() => void hub.send('no refresh before this')")
    assert await socket.command() == {"send": {"data": "no refresh before this"}}


async def test_a_call_into_a_socket_that_is_closing_is_lost_like_one_before_it(
    hub: HubPage, server: ScriptedServer
) -> None:
    await hub.open(minDelay=10)
    socket = await ProtocolSocket.connected(server)
    await hub.event("hub", "connected")
    await hub.js("""() => {
        const { prototype } = WebSocket;
        const own = Object.getOwnPropertyDescriptor(prototype, "readyState");
        Object.defineProperty(prototype, "readyState", { get: () => WebSocket.CLOSING, configurable: true });
        window.lost = outcome(hub.rpc("x"));
        setTimeout(() => Object.defineProperty(prototype, "readyState", own));
    }""")
    await socket.close(3001)
    assert (await hub.js("lost"))["failed"]["code"] == 0
    await ProtocolSocket.connected(server)
    await hub.event("hub", "connected", 2)
