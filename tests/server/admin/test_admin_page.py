"""The admin page in Chromium: what an operator sees and does there, under the strict policy."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from admin_client import ADMIN_KEY, asked
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect
from server_process import ServerProcess
from socket_client import closed, heard_until, opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = "<img src=x onerror=document.title='owned'>"
NOTE_REPORTS = """
addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective}`))
"""


@asynccontextmanager
async def visiting(
    browser: Browser, server: ServerProcess, view: str = "overview", **context: Any
) -> AsyncIterator[Page]:
    """The page, not signed in; fails at the end for an error in a script or a report of the policy."""
    opened_context = await browser.new_context(**context)
    page = await opened_context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    await page.add_init_script(NOTE_REPORTS)
    await page.goto(f"{server.origin}/admin#{view}")
    yield page
    assert await page.title() == "Admin · Hubbub"
    assert complaints == []
    await opened_context.close()


@asynccontextmanager
async def signed_in(
    browser: Browser, server: ServerProcess, view: str = "overview", **context: Any
) -> AsyncIterator[Page]:
    """The page of somebody with the key."""
    async with visiting(browser, server, view, **context) as page:
        await page.get_by_label("Admin key").fill(ADMIN_KEY)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.locator("#state")).to_have_text("Live")
        yield page


def chart(page: Page, title: str) -> Any:
    return page.locator("figure").filter(has_text=title)


async def test_only_the_key_opens_the_page_and_it_is_nowhere_but_in_the_tab(
    browser: Browser, admin: ServerProcess
) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    sent: list[Any] = []
    page.on("request", lambda request: sent.append(request))
    await page.goto(f"{admin.origin}/admin")
    await expect(page.get_by_role("navigation", name="Views")).to_be_hidden()
    await page.get_by_label("Admin key").fill("wrong" * 10)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("The server does not know this key")
    await page.get_by_label("Admin key").fill(ADMIN_KEY)
    await page.keyboard.press("Enter")
    await expect(page.locator("#state")).to_have_text("Live")
    await page.reload()
    await expect(page.locator("#state")).to_have_text("Live")
    assert not [one for one in sent if ADMIN_KEY in one.url]
    assert await context.cookies() == []
    assert await page.evaluate("localStorage.length") == 0
    await page.get_by_role("button", name="Sign out").click()
    await page.reload()
    await expect(page.get_by_label("Admin key")).to_be_visible()
    await context.close()


async def test_the_charts_move_with_what_happens(browser: Browser, admin: ServerProcess) -> None:
    async with signed_in(browser, admin) as page:
        now = chart(page, "Connections").locator("output")
        await expect(now).to_have_text("0")
        async with opened(admin, "/ws/room/charts"), opened(admin, "/ws/room/charts"):
            await expect(now).to_have_text("2")
            picture = chart(page, "Connections").get_by_role("img")
            await expect(picture).to_have_attribute("aria-label", re.compile("now 2, at most 2"))
        await expect(now).to_have_text("0")
        await expect(picture).to_have_attribute("aria-label", re.compile("now 0, at most 2"))
        line = await picture.locator("path.sum").get_attribute("d")
        assert line is not None
        assert len(set(re.findall(r" (\d+\.\d)", line))) > 1, "the line is not flat"


async def test_one_connection_of_many_is_found_looked_into_and_ended(
    browser: Browser, admin: ServerProcess
) -> None:
    async with AsyncExitStack() as stack:
        for number in range(60):
            await stack.enter_async_context(opened(admin, f"/chat/many?username=guest-{number:02}"))
        client = await stack.enter_async_context(opened(admin, "/chat/many?username=needle"))
        page = await stack.enter_async_context(signed_in(browser, admin, "connections"))
        await expect(page.get_by_text("page 1 of 61 entries")).to_be_visible()
        await page.get_by_role("button", name="Next").click()
        await expect(page.get_by_text("page 2 of 61 entries")).to_be_visible()
        await page.get_by_role("searchbox", name="Search connections").fill("needle")
        await expect(page.get_by_text("page 1 of 1 entry")).to_be_visible()
        await page.get_by_role("button", name=re.compile("Inspect")).click()
        dialog = page.get_by_role("dialog", name="Connection")
        await expect(dialog.get_by_text("chat:many", exact=True)).to_be_visible()
        frame = dialog.locator("#frames li").filter(has_text="seen by the operator").first
        for _ in range(100):
            await client.send("seen by the operator")
            if await frame.is_visible():
                break
            await asyncio.sleep(0.1)
        await expect(frame).to_be_visible()
        await dialog.get_by_role("button", name="Disconnect").click()
        await (
            page.get_by_role("dialog", name="Disconnect this")
            .get_by_role("button", name="Disconnect")
            .click()
        )
        assert (await closed(client))[1:] == (1008, "disconnected")
        await expect(dialog.locator("#frames-state")).to_contain_text("The connection has ended")


async def test_a_publication_is_made_from_a_rooms_row(browser: Browser, admin: ServerProcess) -> None:
    async with (
        opened(admin, "/ws/room/from-admin") as client,
        signed_in(browser, admin, "rooms") as page,
    ):
        await page.get_by_role("button", name="Publish into room:from-admin").click()
        dialog = page.get_by_role("dialog", name="Publish")
        await dialog.get_by_label("Message").fill("{no JSON")
        await dialog.get_by_role("button", name="Publish").click()
        await expect(dialog.get_by_role("alert")).to_have_text("This is no JSON")
        await dialog.get_by_label("as JSON").uncheck()
        await dialog.get_by_label("Message").fill("hello from the operator")
        await dialog.get_by_role("button", name="Publish").click()
        await expect(page.locator("#notice")).to_have_text("Published into room:from-admin")
        await heard_until(client, "hello from the operator")


async def test_hostile_names_and_messages_are_only_text(browser: Browser, admin: ServerProcess) -> None:
    async with (
        opened(admin, f"/chat/hostile?username={quote(HOSTILE)}"),
        signed_in(browser, admin, "connections") as page,
    ):
        await page.get_by_role("searchbox", name="Search connections").fill("onerror")
        await expect(page.get_by_text("page 1 of 1 entry")).to_be_visible()
        await expect(page.get_by_role("cell", name="onerror")).to_be_visible()
        await page.get_by_role("button", name=re.compile("Inspect")).click()
        frames = page.locator("#frames li").filter(has_text="onerror")
        for _ in range(100):
            await asked(admin, "publish", {"room": "chat:hostile", "data": {"text": HOSTILE}})
            if await frames.count():
                break
        await expect(frames.first).to_be_visible()
        assert await page.locator("#inspector img, #inspector script, td img, td script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_serious_keeps_anybody_from_using_the_page(
    browser: Browser, admin: ServerProcess, scheme: str
) -> None:
    """Judged by axe-core, in each view and dialog."""
    async with (
        opened(admin, "/chat/axe?username=ada"),
        visiting(browser, admin, color_scheme=scheme, viewport={"width": 390, "height": 844}) as page,
    ):
        await serious(page, "login")
        await page.get_by_label("Admin key").fill(ADMIN_KEY)
        await page.get_by_role("button", name="Sign in").click()
        await expect(chart(page, "Connections").locator("output")).not_to_have_text("")
        await serious(page, "overview")
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        await page.get_by_role("link", name="Rooms").click()
        await page.get_by_role("button", name="Publish into chat:axe").click()
        await serious(page, "publishing")
        await page.get_by_role("button", name="Cancel").click()
        await serious(page, "rooms")
        await page.get_by_role("link", name="Connections").click()
        await page.get_by_role("button", name=re.compile("Inspect")).first.click()
        await expect(page.get_by_role("dialog", name="Connection")).to_be_visible()
        await serious(page, "inspector")


async def serious(page: Page, where: str) -> None:
    """Fail for what axe calls serious or critical."""
    found = (await Axe().run(page)).response["violations"]
    assert [
        (where, one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ] == []
