"""The page of the API docs in Chromium: it needs nothing but this server, and shows what the API can do."""

import asyncio
import re

import pytest
from playwright.async_api import Browser, Request, expect
from server_process import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTE_REPORTS = """
addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective}`))
"""


async def test_the_page_shows_the_operations_and_asks_no_other_address(
    browser: Browser, served: ServerProcess
) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    asked: list[str] = []
    complaints: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.add_init_script(NOTE_REPORTS)
    await page.goto(f"{served.origin}/docs")
    async with served.http() as http:
        described = (await http.get("/openapi.json")).json()["paths"]
    assert {"/api/publish", "/health"} <= set(described)
    shown = page.locator(".opblock-summary-path")
    await expect(shown).to_have_count(sum(len(methods) for methods in described.values()))
    paths = [re.sub(r"\u200b", "", text) for text in await shown.all_inner_texts()]
    assert set(paths) == set(described)

    health = page.locator(".opblock").filter(has_text="/health")
    await health.locator(".opblock-summary-control").first.click()
    await health.get_by_role("button", name="Try it out").click()
    async with asyncio.timeout(10), page.expect_response(f"{served.origin}/health"):
        await health.get_by_role("button", name="Execute").click()
    await expect(health.locator(".live-responses-table")).to_contain_text('"ok"')
    assert [url for url in asked if not url.startswith((served.origin, "data:"))] == []
    assert complaints == []
    await context.close()


async def test_its_policy_is_that_of_the_other_pages_but_for_pictures_in_a_style_sheet(
    served: ServerProcess,
) -> None:
    async with served.http() as http:
        policies = {
            path: (await http.get(path)).headers["content-security-policy"]
            for path in ("/", "/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css")
        }
    strict = policies["/"]
    assert policies.pop("/docs") == strict.replace("img-src 'self'", "img-src 'self' data:")
    assert set(policies.values()) == {strict}
