"""A page in Chromium with hubs, as the tests hold it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Error, Page
from scripted_server import DEADLINE

SETUP = Path(__file__).with_name("hub_page.js").read_text()
COUNT = "([where, type]) => events.filter((one) => one.where === where && one.type === type).length"


class HubPage:
    """A page, the hubs it opens, and what these told."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", self._heard)

    def _heard(self, error: Error) -> None:
        self.complaints.append(str(error))

    def forget(self) -> None:
        """The page is used by others now."""
        self.page.remove_listener("pageerror", self._heard)

    async def js(self, script: str, *arguments: Any) -> Any:
        """Run a function with its arguments, or evaluate an expression."""
        return (
            await self.page.evaluate(script, list(arguments))
            if arguments
            else await self.page.evaluate(script)
        )

    async def open(self, url: str = "/connection/websocket", where: str = "hub", **options: Any) -> None:
        await self.js("([url, options, where]) => void openHub(url, options, where)", url, options, where)

    async def enter(self, name: str, **options: Any) -> None:
        """Subscribe to a room."""
        await self.js("([name, options]) => openRoom(name, options).subscribe()", name, options)

    async def outcome(self, call: str) -> dict[str, Any]:
        """What a call resolves or rejects with."""
        outcome: dict[str, Any] = await self.js(f"() => outcome({call})")
        return outcome

    async def events(self, where: str, *types: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = await self.js("events")
        return [one for one in events if one["where"] == where and (not types or one["type"] in types)]

    async def event(self, where: str, kind: str, number: int = 1) -> dict[str, Any]:
        """The `number`th event of a kind, waited for."""
        await self.page.wait_for_function(
            f"([where, kind, number]) => ({COUNT})([where, kind]) >= number",
            arg=[where, kind, number],
            timeout=DEADLINE * 1000,
            polling=10,
        )
        return (await self.events(where, kind))[number - 1]

    async def data(self, where: str) -> list[Any]:
        """What was published in a room."""
        return [event["data"] for event in await self.events(where, "publication")]


@asynccontextmanager
async def hub_page(page: Page, address: str, module: str = "/hubbub.js") -> AsyncIterator[HubPage]:
    """The page at that address, with `openHub` and `openRoom` in it."""
    hub = HubPage(page)
    await page.goto(address)
    await hub.js(SETUP, module)
    yield hub
    hub.forget()
    await page.goto("about:blank")
    assert hub.complaints == []


@asynccontextmanager
async def frozen_hub_page(browser: Browser, address: str) -> AsyncIterator[HubPage]:
    """A page of its own whose clock stands still, and where nothing is random."""
    page = await browser.new_page()
    await page.clock.install(time=0)
    await page.add_init_script("Math.random = () => 0.5")
    async with hub_page(page, address) as hub:
        await page.clock.pause_at(60)
        yield hub
    await page.context.close()
