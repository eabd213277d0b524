"""Hub against the real server: `hubbub serve` for its rooms, an app of the tests' for tokens and methods."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hub_page import HubPage, hub_page
from hubbub_server import HubbubServer
from playwright.async_api import Page
from server_process import ServerProcess
from websockets.asyncio.client import connect

pytestmark = pytest.mark.asyncio(loop_scope="session")

GET_TOKEN = """([claims, ttl, wrong]) => {
  window.asked = 0;
  window.getToken = async () => {
    asked += 1;
    const body = JSON.stringify(claims);
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`/token?ttl=${asked === 1 ? ttl : 60}`, { method: "POST", body, headers });
    return (await answer.json()) + wrong;
  };
}"""


@pytest.fixture(scope="module")
def hubbub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubbubServer]:
    server = HubbubServer(tmp_path_factory.mktemp("hubbub"), keeps=True)
    server.start()
    yield server
    server.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def hub(page: Page, hubbub: HubbubServer) -> AsyncIterator[HubPage]:
    """A page of `hubbub serve`."""
    async with hub_page(page, f"{hubbub.origin}/static/icon.svg") as hub:
        yield hub


@pytest_asyncio.fixture(loop_scope="session")
async def own(page: Page, app: ServerProcess) -> AsyncIterator[HubPage]:
    """A page of the tests' app."""
    async with hub_page(page, app.origin, "/js/hubbub.js") as hub:
        yield hub


async def with_token(hub: HubPage, claims: dict[str, Any], ttl: float = 60.0, wrong: str = "") -> None:
    """Open a hub whose first token lasts so long, and is made invalid by `wrong`."""
    await hub.js(GET_TOKEN, claims, ttl, wrong)
    await hub.js("() => void openHub('/connection/websocket', { getToken, minDelay: 20 })")


async def enter_chat(hub: HubPage, name: str, room: str) -> None:
    await hub.open(minDelay=20)
    await hub.enter(room, data={"name": name}, joinLeave=True)
    await hub.event(room, "subscribed")


async def test_a_room_says_who_is_there_and_what_was_said(hub: HubPage) -> None:
    room = "chat:about"
    await enter_chat(hub, "ada", room)
    for text in ("one", "two", "three"):
        assert await hub.outcome(f"hub.room('{room}').publish({{ text: '{text}' }})") == {"value": None}
    await hub.event(room, "publication", 3)
    said = [{"from": "ada", "text": text} for text in ("one", "two", "three")]
    assert await hub.data(room) == said
    assert (await hub.event(room, "join"))["conn_info"] == {"name": "ada", "author": ""}
    present = (await hub.outcome(f"hub.room('{room}').presence()"))["value"]
    assert [one["conn_info"] for one in present] == [{"name": "ada", "author": ""}]
    assert [one["client"] for one in present] == [await hub.js("hub.client")]
    stats = await hub.outcome(f"hub.room('{room}').presenceStats()")
    assert stats == {"value": {"clients": 1, "users": 1}}
    page_of = "hub.room('chat:about').history"
    newest = (await hub.outcome(f"{page_of}({{ limit: 2, reverse: true }})"))["value"]
    assert [one["data"] for one in newest["publications"]] == said[:0:-1]
    since = json.dumps({"epoch": newest["epoch"], "offset": 1})
    later = (await hub.outcome(f"{page_of}({{ since: {since} }})"))["value"]
    assert [one["data"] for one in later["publications"]] == said[1:]
    only_position = (await hub.outcome(f"{page_of}({{ limit: 0 }})"))["value"]
    assert only_position == {"publications": [], "epoch": newest["epoch"], "offset": 3}


async def test_plain_clients_and_hubs_see_the_same(hub: HubPage, hubbub: HubbubServer) -> None:
    room = "chat:mixed"
    await enter_chat(hub, "ada", room)
    address = hubbub.origin.replace("http", "ws") + "/chat/mixed?username=bob"
    async with connect(address) as bob:
        assert json.loads(await bob.recv()) == {"from": "system", "text": "bob joined"}
        await hub.event(room, "join", 2)
        await hub.js(f"() => void hub.room('{room}').publish({{ from: 'bob', text: '<b>', more: 1 }})")
        await hub.event(room, "publication")
        await bob.send("hi")
        said = [{"from": "ada", "text": "<b>"}, {"from": "bob", "text": "hi"}]
        assert [json.loads(await bob.recv()) for _ in said] == said
        await hub.event(room, "publication", 2)
        assert await hub.data(room) == said
    assert (await hub.event(room, "leave"))["conn_info"] == {"name": "bob"}


async def test_two_clients_see_one_order(hub: HubPage) -> None:
    for member in ("first", "second"):
        await hub.open(where=member)
        await hub.js(
            "([name]) => openRoom('chat:order', { data: { name } }, hub, `${name} in`).subscribe()", member
        )
        await hub.event(f"{member} in", "subscribed")
    await hub.js("""() => {
        const rooms = hubs.map((hub) => hub.room("chat:order"));
        for (let i = 0; i < 25; i += 1) for (const room of rooms) void room.publish({ text: `${i}` });
    }""")
    for member in ("first", "second"):
        await hub.event(f"{member} in", "publication", 50)
    first, second = await hub.data("first in"), await hub.data("second in")
    assert first == second
    for member in ("first", "second"):
        assert [one["text"] for one in first if one["from"] == member] == [str(i) for i in range(25)]


@pytest.mark.parametrize(
    ("room", "data", "code"),
    [
        ("chat:<script>", {"name": "ada"}, 107),
        ("chat:a b", {"name": "ada"}, 107),
        ("x" * 300, {"name": "ada"}, 107),
        ("elsewhere:a", {"name": "ada"}, 102),
        ("chat:a", {"name": "sys\u200btem"}, 400),
        ("chat:a", {"name": "x" * 65}, 107),
        ("chat:a", {"name": 3}, 107),
        ("chat:a", "ada", 107),
    ],
)
async def test_a_room_or_name_that_cannot_be_is_refused(
    hub: HubPage, room: str, data: object, code: int
) -> None:
    await hub.open()
    await hub.enter(room, data=data)
    assert (await hub.event(room, "unsubscribed"))["code"] == code
    assert await hub.js("hub.state") == "connected"


async def test_a_connection_has_one_name(hub: HubPage) -> None:
    await enter_chat(hub, "ada", "chat:names")
    await hub.enter("chat:other", data={"name": "bob"})
    assert (await hub.event("chat:other", "unsubscribed"))["code"] == 400
    await hub.enter("chat:third", data={"name": "ada"})
    await hub.event("chat:third", "subscribed")


@pytest.mark.parametrize("data", [{"text": 3}, {}, "text", [], {"text": None}])
async def test_what_is_no_message_of_the_chat_is_refused(hub: HubPage, data: object) -> None:
    await enter_chat(hub, "ada", "chat:shapes")
    call = f"hub.room('chat:shapes').publish({json.dumps(data)})"
    assert (await hub.outcome(call))["failed"]["code"] == 107
    elsewhere = await hub.outcome("hub.room('chat:not-in').publish({ text: 'hello' })")
    assert elsewhere["failed"]["code"] == 103
    assert await hub.data("chat:shapes") == []


async def test_killed_and_started_again_nothing_is_missing_and_nothing_double(
    page: Page, tmp_path: Path
) -> None:
    hubbub = HubbubServer(tmp_path, keeps=True)
    hubbub.start()
    room = "chat:killed"
    async with hub_page(page, f"{hubbub.origin}/static/icon.svg") as hub:
        await hub.open(minDelay=600_000, maxDelay=600_000)
        await hub.enter(room, data={"name": "ada"})
        await hub.event(room, "subscribed")
        assert await hub.outcome(f"hub.room('{room}').publish({{ text: 'before' }})") == {"value": None}
        hubbub.kill()
        await hub.event("hub", "connecting")
        await hub.js(f"""() => {{
            const texts = ["queued 1", "queued 2"];
            window.queued = Promise.all(texts.map((text) => outcome(hub.room("{room}").publish({{ text }}))));
        }}""")
        hubbub.start()
        address = hubbub.origin.replace("http", "ws") + "/chat/killed?username=bob"
        async with connect(address) as bob:
            for text in ("missed 1", "missed 2"):
                await bob.send(text)
                while json.loads(await bob.recv())["text"] != text:
                    pass
            await hub.js("hub.retryNow()")
            again = await hub.event(room, "subscribed", 2)
            assert (again["recovered"], again["wasRecovering"]) == (True, True)
            assert await hub.js("queued") == [{"value": None}, {"value": None}]
            await hub.event(room, "publication", 5)
        said = ["before", "missed 1", "missed 2", "queued 1", "queued 2"]
        assert [one["text"] for one in await hub.data(room)] == said
        assert [one["offset"] for one in await hub.events(room, "publication")] == [1, 2, 3, 4, 5]
        kept = (await hub.outcome(f"hub.room('{room}').history()"))["value"]["publications"]
        assert [one["data"]["text"] for one in kept] == said
    hubbub.kill()


async def test_methods_answer_or_refuse(own: HubPage) -> None:
    await with_token(own, {})
    assert await own.outcome("hub.rpc('add', [1, 2, 3])") == {"value": 6}
    assert await own.outcome("hub.rpc('whoami')") == {"value": "ada"}
    assert (await own.outcome("hub.rpc('add', 'no list')"))["failed"]["code"] == 107
    assert (await own.outcome("hub.rpc('nothing')"))["failed"]["code"] == 104


async def test_an_expired_token_is_replaced_at_once(own: HubPage) -> None:
    await with_token(own, {}, ttl=-5)
    await own.event("hub", "connected")
    assert await own.js("asked") == 2
    assert (await own.events("hub"))[0]["error"]["code"] == 109


async def test_a_wrong_token_is_refused_for_good(own: HubPage) -> None:
    await with_token(own, {}, wrong="x")
    assert (await own.event("hub", "disconnected"))["code"] == 3500
    assert await own.js("asked") == 1


async def test_a_token_is_renewed_before_it_ends(own: HubPage) -> None:
    await with_token(own, {}, ttl=1.5)
    await own.event("hub", "connected")
    await own.page.wait_for_function("asked === 2")
    assert await own.outcome("hub.rpc('whoami')") == {"value": "ada"}
    assert [one["type"] for one in await own.events("hub")] == ["connected"]


async def test_a_room_may_want_a_token_of_its_own(own: HubPage) -> None:
    await with_token(own, {})
    room = "secret:a"
    await own.enter(room)
    assert (await own.event(room, "unsubscribed"))["code"] == 103
    await own.js(GET_TOKEN, {"channel": "secret:b"}, 1.5, "")
    await own.js("() => openRoom('secret:b', { getToken }).subscribe()")
    assert await own.outcome("hub.room('secret:b').publish('hello')") == {"value": None}
    await own.page.wait_for_function("asked === 2")
    assert await own.outcome("hub.room('secret:b').publish('again')") == {"value": None}
    assert await own.data("secret:b") == ["hello", "again"]


async def test_rooms_of_the_token_are_recovered_after_a_drop(own: HubPage, app: ServerProcess) -> None:
    room = "news:today"
    await own.js("""() => {
        window.ready = (hub) => hub.addEventListener("room", ({ detail }) => openRoom(detail.room.name));
    }""")
    await own.js(GET_TOKEN, {"channels": [room]}, 60, "")
    await own.js(
        "() => ready(openHub('/connection/websocket', { getToken, minDelay: 600_000, maxDelay: 600_000 }))"
    )
    await own.event(room, "subscribed")
    async with app.http() as http:
        await http.post(f"/publish/{room}", content="first")
        await own.event(room, "publication")
        await http.post("/drop?code=3001")
        await own.event("hub", "connecting")
        await http.post(f"/publish/{room}", content="second")
    await own.js("hub.retryNow()")
    assert (await own.event(room, "subscribed", 2))["recovered"] is True
    assert await own.data(room) == ["first", "second"]


async def test_a_terminal_drop_stays(own: HubPage, app: ServerProcess) -> None:
    await with_token(own, {})
    await own.event("hub", "connected")
    async with app.http() as http:
        await http.post("/drop?code=3503")
    assert (await own.event("hub", "disconnected"))["reason"] == "dropped"
