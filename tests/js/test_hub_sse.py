"""Hub where WebSockets are refused: it goes on with server-sent events."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hub_page import HubPage, hub_page
from playwright.async_api import Page
from protocol_server import ProtocolSocket
from server_process import ServerProcess
from streaming_server import NO_WEBSOCKETS, StreamingServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = """async () => {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("/token", { method: "POST", body: "{}", headers });
  return answer.json();
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def hub(page: Page, app: ServerProcess) -> AsyncIterator[HubPage]:
    async with hub_page(page, app.origin, "/js/hubbub.js") as hub:
        yield hub


async def test_refused_twice_it_does_without_websockets(hub: HubPage) -> None:
    asked: list[str] = []
    hub.page.on("request", lambda request: asked.append(request.url))
    await hub.open("/connection/websocket?blocked", token=await hub.js(TOKEN), minDelay=10)
    await hub.enter("open:sse")
    await hub.js(
        "() => { for (let i = 0; i < 5; i += 1) void hub.room('open:sse').publish(`${i}\\n\\u2028`); }"
    )
    await hub.event("hub", "connected")
    await hub.event("open:sse", "publication", 5)
    assert await hub.data("open:sse") == [f"{i}\n\u2028" for i in range(5)]
    assert await hub.outcome("hub.rpc('whoami')") == {"value": "ada"}
    assert [one["attempt"] for one in await hub.events("hub", "connecting")] == [1, 2]
    assert any("/connection/sse?cf_connect=" in url for url in asked)


async def test_a_stream_that_ends_is_recovered(hub: HubPage, app: ServerProcess) -> None:
    await hub.open("/connection/websocket?blocked", token=await hub.js(TOKEN), minDelay=10)
    await hub.enter("open:ended")
    await hub.event("open:ended", "subscribed")
    async with app.http() as http:
        await http.post("/publish/open:ended", content="first")
        await hub.event("open:ended", "publication")
        await http.post("/drop?code=3001")
        await hub.event("hub", "connecting", 3)
        await http.post("/publish/open:ended", content="second")
        assert (await hub.event("open:ended", "subscribed", 2))["wasRecovering"] is True
        await hub.event("open:ended", "publication", 2)
        assert await hub.data("open:ended") == ["first", "second"]
        await http.post("/drop?code=3503")
    assert (await hub.event("hub", "disconnected"))["code"] == 3503


async def test_it_closes_its_stream(hub: HubPage) -> None:
    await hub.open("/connection/websocket?blocked", token=await hub.js(TOKEN), minDelay=10)
    await hub.event("hub", "connected")
    await hub.js("hub.close()")
    await hub.event("hub", "disconnected")
    assert await hub.js("hub.state") == "disconnected"


async def test_a_hub_that_shall_not_fall_back_does_not(hub: HubPage) -> None:
    await hub.open("/connection/websocket?blocked", token="", minDelay=10, maxDelay=10, fallback=False)
    await hub.event("hub", "connecting", 5)
    assert await hub.events("hub", "connected", "error") == []


async def test_a_stream_that_is_cut_or_whose_requests_find_nobody_is_recovered(page: Page) -> None:
    async with StreamingServer().running() as server, hub_page(page, server.url) as hub:
        await hub.js(NO_WEBSOCKETS)
        await hub.open(minDelay=1, maxDelay=1)
        await hub.enter("chat")
        stream = await ProtocolSocket.connected(server)
        await stream.answer("subscribe", recoverable=True, epoch="e", offset=4)
        await stream.push("chat", pub={"data": "five", "offset": 5})
        await hub.event("chat", "publication")
        stream.connection.cut()
        stream = await ProtocolSocket.connected(server)
        missed = {"publications": [{"data": "six", "offset": 6}], "recovered": True, "was_recovering": True}
        asked = await stream.answer("subscribe", recoverable=True, epoch="e", offset=6, **missed)
        assert asked == {"channel": "chat", "recover": True, "epoch": "e", "offset": 5}
        assert (await hub.event("chat", "subscribed", 2))["recovered"] is True

        server.streams.clear()  # as when the node was started anew
        await hub.js("() => void hub.send('to nobody')")
        stream = await ProtocolSocket.connected(server)
        assert (await stream.answer("subscribe", recoverable=True, epoch="e", offset=6))["offset"] == 6
        await hub.js("hub.close()")
        assert await hub.data("chat") == ["five", "six"]


async def test_a_stream_that_says_nothing_does_not_start_the_delays_over(page: Page) -> None:
    """As behind a proxy whose server is away: it takes a request, and says only later that nobody answers."""
    async with StreamingServer().running() as server, hub_page(page, server.url) as hub:
        await hub.js(NO_WEBSOCKETS)
        await hub.open(minDelay=10, maxDelay=10, connectTimeout=50)
        await hub.event("hub", "connecting", 5)
        assert [one["attempt"] for one in await hub.events("hub", "connecting")][:5] == [1, 2, 3, 4, 5]
        await hub.js("hub.close()")


async def test_a_page_whose_policy_forbids_websockets_goes_on_without_them_at_once(page: Page) -> None:
    """Chromium tells of such a socket's error, and never of its end."""
    async with StreamingServer("connect-src http:").running() as server, hub_page(page, server.url) as hub:
        await hub.open(minDelay=1, maxDelay=1, connectTimeout=600_000)
        await ProtocolSocket.connected(server)
        await hub.event("hub", "connected")
        assert [one["attempt"] for one in await hub.events("hub", "connecting")] == [1, 2]
        await hub.js("hub.close()")
