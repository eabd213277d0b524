"""A page in Chromium, for the JavaScript of the documentation."""

import asyncio
from collections.abc import Callable

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page


class BrowserPage:
    """One page, what it wrote to its console, and what went wrong on it."""

    def __init__(self, page: Page, origin: str) -> None:
        self._page = page
        self._origin = origin
        self._blocks = 0
        self._console: list[str] = []
        self._changed = asyncio.Condition()
        self._noting: set[asyncio.Task[None]] = set()
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)

    @classmethod
    async def new(cls, browser: Browser, origin: str) -> "BrowserPage":
        context: BrowserContext = await browser.new_context()
        return cls(await context.new_page(), origin)

    async def open(self, path: str) -> None:
        """Open a page of the app; one that the app does not have still has its origin."""
        await self._page.goto(self._origin + path)

    async def run(self, module: str) -> None:
        """Run the text as a ``<script type="module">`` of the page, to its end."""
        self._blocks += 1
        text = f"{module}\n;globalThis.blocksRun = {self._blocks};"
        await self._page.evaluate(
            """(text) => {
                const script = Object.assign(document.createElement("script"), { type: "module", text });
                document.documentElement.append(script);
            }""",
            text,
        )
        while await self._page.evaluate("() => globalThis.blocksRun ?? 0") < self._blocks:
            assert not self.errors, self.errors
            await asyncio.sleep(0.01)

    async def logged(self, fits: Callable[[str], bool]) -> None:
        """Wait until a line that fits is in the console; what came before it is passed over."""
        async with self._changed:
            while True:
                while self._console:
                    if fits(self._console.pop(0)):
                        return
                await self._changed.wait()

    async def close(self) -> None:
        await self._page.context.close()

    def _note(self, message: ConsoleMessage) -> None:
        task = asyncio.ensure_future(self._noted(message))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _noted(self, message: ConsoleMessage) -> None:
        async with self._changed:
            self._console.append(message.text)
            self._changed.notify_all()
