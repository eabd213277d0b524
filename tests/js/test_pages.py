"""The server's pages: files that a strict policy can be set for, and the home page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hubbub_server import HubbubServer
from playwright.async_api import Browser, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = Path(__file__).parents[2] / "src" / "hubbub" / "server" / "pages"
FORBIDDEN = {
    "text set as HTML": r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment",
    "code from text": r"\beval\(|new Function|javascript:",
    "inline style": r"<style|\bstyle=",
    "inline script": r"<script(?![^>]*\bsrc=)|\bon[a-z]+=\"",
    "outside address": r"https?://(?!www\.w3\.org/2000/svg)|(?:src|href)=\"//|@import (?!\{)|url\(",
}


@pytest.fixture(scope="module")
def hubbub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubbubServer]:
    server = HubbubServer(tmp_path_factory.mktemp("hubbub"))
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize("rule", FORBIDDEN)
async def test_no_file_of_the_pages_has(rule: str) -> None:
    files = [path for path in PAGES.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".css", ".js", ".svg"}
    found = [path.name for path in files if re.search(FORBIDDEN[rule], path.read_text())]
    assert found == []


async def test_no_file_of_the_pages_is_longer_than_four_hundred_lines() -> None:
    files = [path for path in PAGES.rglob("*") if path.is_file()]
    assert [path.name for path in files if len(path.read_text().splitlines()) > 400] == []


@pytest.mark.parametrize("path", ["/", "/chat"])
async def test_a_page_loads_only_from_its_own_server_under_the_strict_policy(
    browser: Browser, hubbub: HubbubServer, path: str
) -> None:
    page = await browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    answer = await page.goto(hubbub.origin + path, wait_until="networkidle")
    assert answer
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert all(url.startswith(hubbub.origin) for url in asked)
    assert complaints == []
    await page.context.close()


async def test_the_home_page_leads_on_and_its_examples_name_this_server(
    browser: Browser, hubbub: HubbubServer
) -> None:
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    await page.goto(hubbub.origin)
    terminal = page.locator(".example").filter(has_text="Terminal")
    await terminal.get_by_role("button", name="Copy").click()
    await expect(terminal.get_by_role("button", name="Copied")).to_be_visible()
    command = f'websockets "ws://127.0.0.1:{hubbub.port}/ws/room/general?username=ada"'
    assert await page.evaluate("navigator.clipboard.readText()") == command
    for link in await page.get_by_role("link").all():
        target = await link.get_attribute("href")
        assert target
        assert (await context.request.get(hubbub.origin + target)).ok, target
    await page.get_by_role("link", name="Open the chat").click()
    await expect(page).to_have_title("Chat · Hubbub")
    await context.close()


async def test_the_browser_example_of_the_home_page_runs_in_its_console(
    browser: Browser, hubbub: HubbubServer
) -> None:
    page = await browser.new_page()
    await page.goto(hubbub.origin)
    example = await page.locator(".example", has_text="console").locator("code").inner_text()
    async with page.expect_console_message(lambda message: "hello" in message.text) as said:
        await page.evaluate(f"async () => {{ {example} }}")
    assert (await said.value).text == "[general] ada: hello from the browser"
    await page.context.close()


async def test_the_home_page_fits_a_phone(browser: Browser, hubbub: HubbubServer) -> None:
    page = await browser.new_page(viewport={"width": 360, "height": 640})
    await page.goto(hubbub.origin)
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    await page.context.close()
