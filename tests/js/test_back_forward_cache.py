"""A page that the browser keeps for the way back: meanwhile it is not here, then it is live again at once."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from chromium import WHOLE, find_chromium, launched
from client_page import ClientPage
from hub_page import SETUP, HubPage
from node_sdk import not_run
from playwright.async_api import Browser, Page
from scripted_server import DEADLINE, ScriptedServer
from server_process import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = 60_000
"""Milliseconds until the client would come back by itself."""

TOKEN = """async () => {
    const headers = { "Content-Type": "application/json" };
    return (await fetch("/token", { method: "POST", body: "{}", headers })).json();
}"""

NOTE = """() => addEventListener("pageshow", ({ persisted }) => (window.wasKept = persisted))"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def keeping() -> AsyncIterator[Browser]:
    """A browser that keeps pages. For one that does not, `test_silent_links.py` plays what it would tell."""
    path = find_chromium(*WHOLE)
    if path is None:
        not_run("there is no Chromium that keeps pages for the way back")
    async with launched(path, without=["--disable-back-forward-cache"]) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def page(keeping: Browser, server: ScriptedServer) -> AsyncIterator[Page]:
    """Closed before the server, which waits for all connections: a browser opens some in advance."""
    context = await keeping.new_context()
    yield await context.new_page()
    await context.close()


async def leave(page: Page, address: str) -> None:
    await page.evaluate(NOTE)
    await page.goto(address)


async def come_back(page: Page) -> None:
    """Go back, and wait until the page is shown as it was left."""
    async with page.expect_event("framenavigated"):
        await page.evaluate("() => void setTimeout(() => history.back())")
    assert await page.evaluate("() => window.wasKept"), "the browser has loaded it again"


async def test_a_page_that_is_left_closes_its_connection_and_opens_one_when_it_is_back(
    page: Page, server: ScriptedServer
) -> None:
    client = ClientPage(page, server)
    await client.load()
    await client.open(minDelay=LONG)
    first = await server.connection()
    await client.event("open")
    await leave(page, f"{server.url}/codes.js")
    async with asyncio.timeout(DEADLINE):
        await first.wait_closed()
    assert len(server.attempts) == 1
    await come_back(page)
    await server.connection()
    await client.event("open", 2)
    assert [event["type"] for event in await client.events()] == ["open", "close", "reconnecting", "open"]
    assert (await client.event("close"))["code"] == 1001


async def test_a_wait_ends_when_the_page_is_back(page: Page, server: ScriptedServer) -> None:
    client = ClientPage(page, server)
    await client.load()
    server.refuse = True
    await client.open(minDelay=LONG)
    await client.event("reconnecting")
    await leave(page, f"{server.url}/codes.js")
    server.refuse = False
    assert len(server.attempts) == 1
    await come_back(page)
    await client.event("open")


@pytest.mark.parametrize("query", ["", "?blocked"], ids=["websocket", "sse"])
async def test_a_hub_gets_what_was_published_meanwhile_once(
    page: Page, app: ServerProcess, query: str
) -> None:
    room = f"open:kept{query}".replace("?", "-")
    await page.goto(app.origin)
    hub = HubPage(page)
    await hub.js(SETUP, "/js/hubbub.js")
    async with httpx.AsyncClient() as http:

        async def publish(text: str) -> None:
            (await http.post(f"{app.origin}/publish/{room}", content=text)).raise_for_status()

        await hub.open(f"/connection/websocket{query}", token=await hub.js(TOKEN), minDelay=20)
        await hub.enter(room)
        await hub.event(room, "subscribed")
        await publish("before")
        await hub.event(room, "publication")
        await leave(page, f"{app.origin}/js/codes.js")
        await publish("meanwhile")
        await come_back(page)
        await hub.event("hub", "connected", 2)
        await publish("after")
        await hub.event(room, "publication", 3)
        assert await hub.data(room) == ["before", "meanwhile", "after"]
