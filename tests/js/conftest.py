"""Chromium, and the scripted server, for the tests of the browser client."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from client_page import ClientPage
from playwright.async_api import Browser, Page, async_playwright, expect
from scripted_server import ScriptedServer

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


expect.set_options(timeout=20_000)  # a deadline for a busy machine; what is expected comes sooner


def find_chromium() -> str:
    """The browser's path; without a browser the test fails, it is never skipped."""
    names = ["chromium", "chromium-browser", "google-chrome"]
    found = os.environ.get("HUBBUB_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail("no browser: apt-get install chromium, or set HUBBUB_CHROMIUM to the path of a Chromium")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer().running() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def page(browser: Browser) -> Page:
    return await browser.new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def client(page: Page, server: ScriptedServer) -> AsyncIterator[ClientPage]:
    client = ClientPage(page, server)
    await client.load()
    yield client
    if client.page is not page:
        await client.page.context.close()
    await page.goto("about:blank")
