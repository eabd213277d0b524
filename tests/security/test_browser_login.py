"""What a page in Chromium sees when it is refused, and which pages may open a socket with whose cookies."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page
from server_process import ROOT, UVICORN, ServerProcess, running

from hubbub.auth import Tokens

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = secrets.token_urlsafe(32)
OPEN = """([url, protocols, first]) => new Promise(resolve => {
  const seen = {opened: false, messages: []};
  const socket = new WebSocket(url, protocols);
  socket.onopen = () => { seen.opened = true; if (first) socket.send(first); };
  socket.onmessage = event => {
    seen.messages.push(event.data);
    if (JSON.parse(event.data).type === "auth_ok") { resolve(seen); socket.close(); }
  };
  socket.onclose = event => resolve({...seen, code: event.code, reason: event.reason, clean: event.wasClean});
})"""

REFUSED = {
    "opened": True,
    "messages": ['{"type":"error","msg":"Unauthorized"}'],
    "code": 1008,
    "reason": "Unauthorized",
    "clean": True,
}
FORBIDDEN = {"opened": False, "messages": [], "code": 1006, "reason": "", "clean": False}


def guarded(log: Path, origins: str = "") -> Any:
    """The app with all locks, which also serves pages of its own origin."""
    command = [
        *UVICORN,
        "guarded_app:app",
        "--app-dir",
        str(ROOT / "tests/security"),
        "--log-level",
        "trace",
    ]
    return running(command, log, {"GUARDED_SECRET": SECRET, "GUARDED_ORIGINS": origins})


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A page on another port of the same host: the same site for a browser's cookies, but another origin."""
    with guarded(tmp_path_factory.mktemp("elsewhere") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that trusts its own pages alone."""
    with guarded(tmp_path_factory.mktemp("home") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, elsewhere: ServerProcess) -> Iterator[ServerProcess]:
    """A server that has the other page on its list."""
    with guarded(tmp_path_factory.mktemp("trusting") / "log", elsewhere.origin) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context()
    yield context
    await context.close()


@pytest.fixture
def token(home: ServerProcess, trusting: ServerProcess, elsewhere: ServerProcess) -> str:
    token = Tokens(SECRET).issue("ada")
    for server in (home, trusting, elsewhere):
        server.secret(token)
    return token


async def page_at(context: BrowserContext, server: ServerProcess) -> Page:
    """A page of the server's origin."""
    page = await context.new_page()
    page.set_default_timeout(15_000)
    await page.goto(f"{server.origin}/page")
    return page


async def opening(
    page: Page, server: ServerProcess, path: str, protocols: tuple[str, ...] = (), first: str = ""
) -> Any:
    """What happens when the page opens a socket: messages, and the code if it is closed."""
    return await page.evaluate(OPEN, [server.ws(path), list(protocols), first])


async def log_in(context: BrowserContext, token: str, same_site: str = "Lax") -> None:
    """Give the browser the host's session cookie, as a login would. Cookies know no ports."""
    await context.add_cookies(
        [
            {
                "name": "session",
                "value": token,
                "domain": "127.0.0.1",
                "path": "/",
                "httpOnly": True,
                "sameSite": same_site,  # type: ignore[typeddict-item]
            }
        ]
    )


async def test_a_refused_page_sees_the_reason_and_1008(context: BrowserContext, home: ServerProcess) -> None:
    page = await page_at(context, home)
    assert await opening(page, home, "/token?token=wrong") == REFUSED
    assert await opening(page, home, "/token", ("bearer", "wrong")) == REFUSED
    assert await opening(page, home, "/token", (), '{"token":"wrong"}') == REFUSED
    assert await opening(page, home, "/token") == REFUSED, "too late with the first message"
    assert await opening(page, home, "/session") == REFUSED
    await log_in(context, "wrong")
    assert await opening(page, home, "/token") == REFUSED


async def test_a_page_of_the_same_origin_opens_with_every_way(
    context: BrowserContext, home: ServerProcess, token: str
) -> None:
    page = await page_at(context, home)
    welcome = {"opened": True, "messages": ['{"type":"auth_ok","user":"ada","same":true}']}
    assert await opening(page, home, f"/token?token={token}") == welcome
    assert await opening(page, home, "/token", ("bearer", token)) == welcome
    assert await opening(page, home, "/token", (), f'{{"token":"{token}"}}') == welcome
    await log_in(context, token)
    assert await opening(page, home, "/token") == welcome


@pytest.mark.parametrize("same_site", ["Lax", "Strict"])
async def test_a_page_of_another_port_cannot_use_the_cookie_that_the_browser_sends_along(
    context: BrowserContext,
    home: ServerProcess,
    trusting: ServerProcess,
    elsewhere: ServerProcess,
    token: str,
    same_site: str,
) -> None:
    await log_in(context, token, same_site)
    page = await page_at(context, elsewhere)
    # The browser does send it: where the page is on the list, it opens the socket.
    welcome = {"opened": True, "messages": ['{"type":"auth_ok","user":"ada","same":true}']}
    assert await opening(page, trusting, "/token") == welcome
    assert await opening(page, home, "/token") == FORBIDDEN


async def test_a_page_of_another_port_is_refused_with_a_token_as_well(
    context: BrowserContext,
    home: ServerProcess,
    trusting: ServerProcess,
    elsewhere: ServerProcess,
    token: str,
) -> None:
    page = await page_at(context, elsewhere)
    for path, protocols in ((f"/token?token={token}", ()), ("/token", ("bearer", token))):
        assert (await opening(page, trusting, path, protocols))["messages"]
        assert await opening(page, home, path, protocols) == FORBIDDEN


async def test_a_page_without_an_origin_is_refused(
    context: BrowserContext, home: ServerProcess, trusting: ServerProcess, token: str
) -> None:
    page = await context.new_page()
    await page.goto("data:text/html,<p>the origin of this page is null")
    for server in (home, trusting):
        assert await opening(page, server, f"/token?token={token}") == FORBIDDEN


async def test_a_sandboxed_frame_of_the_same_server_is_refused(
    context: BrowserContext, home: ServerProcess, token: str
) -> None:
    page = await page_at(context, home)
    await log_in(context, token)
    await page.evaluate(
        """() => new Promise(done => {
          const frame = document.createElement("iframe");
          frame.sandbox = "allow-scripts";
          frame.srcdoc = "<p>sandboxed";
          frame.onload = done;
          document.body.append(frame);
        })"""
    )
    seen = await page.frames[1].evaluate(OPEN, [home.ws("/token"), [], ""])
    assert seen == FORBIDDEN
