"""A scripted server and a page for the browser client; the real server and two people for the chat."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from chat_page import ChatPage, chatting
from client_page import ClientPage
from hubbub_server import HubbubServer
from playwright.async_api import Browser, Page, expect
from scripted_server import ScriptedServer
from server_process import UVICORN, ServerProcess, running

expect.set_options(timeout=20_000)  # a deadline for a busy machine; what is expected comes sooner


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


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """`page_app.py` in a process of its own."""
    command = [*UVICORN, "--app-dir", "tests/js", "page_app:app", "--ws", "hubbub.uvicorn:WebSocketProtocol"]
    log = tmp_path_factory.mktemp("page_app") / "log"
    with running(command, log, {"HUB_APP_SECRET": secrets.token_hex(32)}) as server:
        yield server


@pytest.fixture(scope="session")
def hubbub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubbubServer]:
    """`hubbub serve`, for tests that leave it as it is; each has rooms of its own."""
    server = HubbubServer(tmp_path_factory.mktemp("hubbub"), talkative=True)
    server.start()
    yield server
    server.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ada(browser: Browser, hubbub: HubbubServer) -> AsyncIterator[ChatPage]:
    """Ada, for all tests of a file."""
    async with chatting(browser, hubbub.origin, "ada") as page:
        await page.connected()
        yield page


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bob(browser: Browser, hubbub: HubbubServer) -> AsyncIterator[ChatPage]:
    """Bob, as Ada."""
    async with chatting(browser, hubbub.origin, "bob") as page:
        await page.connected()
        yield page
