"""A page in Chromium with hubbub.js, as the tests hold it."""

from typing import Any

from playwright.async_api import Page
from scripted_server import DEADLINE, ScriptedServer


class ClientPage:
    """A page with hubbub.js, and the socket it opened."""

    def __init__(self, page: Page, server: ScriptedServer) -> None:
        self.page = page
        self.server = server

    async def load(self) -> None:
        await self.page.goto(self.server.url)
        await self.page.wait_for_function("() => window.connect")

    async def open(self, url: str = "/ws", protocols: list[str] | None = None, **options: Any) -> None:
        await self.page.evaluate("([u, p, o]) => void connect(u, p, o)", [url, protocols or [], options])

    async def js(self, script: str) -> Any:
        return await self.page.evaluate(script)

    async def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = await self.page.evaluate("() => events")
        return [event for event in events if kind in (None, event["type"])]

    async def event(self, kind: str, number: int = 1) -> dict[str, Any]:
        """The `number`th event of a kind, waited for."""
        await self.page.wait_for_function(
            "([kind, number]) => events.filter(({ type }) => type === kind).length >= number",
            arg=[kind, number],
            timeout=DEADLINE * 1000,
            polling=10,
        )
        return (await self.events(kind))[number - 1]

    async def freeze_time(self) -> None:
        """Goes on in a new page with a clock that stands at 60 s and moves only by `pass_time`."""
        assert self.page.context.browser
        self.page = await self.page.context.browser.new_page()
        await self.page.clock.install(time=0)
        await self.load()
        await self.page.clock.pause_at(60)

    async def pass_time(self, milliseconds: int) -> None:
        await self.page.clock.run_for(milliseconds)

    async def settle(self) -> None:
        """Waits until the server has answered a request made now: what the page did before has reached it."""
        await self.js("fetch('/').then(() => null)")
