"""The chat page in Chromium, as the tests hold it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from hubbub_server import HubbubServer
from playwright.async_api import Browser, Locator, Page, WebSocket, WebSocketRoute, expect
from websockets.asyncio.client import connect

REMEMBER = "localStorage.getItem('hubbub.name') ?? localStorage.setItem('hubbub.name', {});"
"""Runs before any script of the page."""

AUTHOR = """async () => {
    const key = new TextEncoder().encode(localStorage.getItem("hubbub.key"));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", key));
    return Array.from(hash.slice(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}"""


class ChatPage:
    """One person's page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        """Errors of the page's scripts, and what its content security policy has stopped."""
        self.sockets: list[str] = []
        """The WebSockets that the page has opened."""
        self.frames: list[str] = []
        """What has come over them."""
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", self._opened)
        page.on("console", lambda message: self._heard(message.text))

    def _opened(self, socket: WebSocket) -> None:
        self.sockets.append(socket.url)
        socket.on("framereceived", lambda frame: self.frames.append(str(frame)))

    def _heard(self, text: str) -> None:
        if "Content Security Policy" in text:
            self.complaints.append(text)

    @property
    def state(self) -> Locator:
        return self.page.locator("#state")

    @property
    def messages(self) -> Locator:
        return self.page.locator("#log .text")

    @property
    def newest(self) -> Locator:
        """The newest message, with all that belongs to it."""
        return self.page.locator("#log .message").last

    @property
    def notices(self) -> Locator:
        return self.page.locator("#log .notice bdi")

    @property
    def pending(self) -> Locator:
        return self.page.locator("#pending .text")

    @property
    def members(self) -> Locator:
        return self.page.locator("#members bdi")

    @property
    def rooms(self) -> Locator:
        return self.page.locator("#rooms bdi")

    @property
    def other_rooms(self) -> Locator:
        return self.page.locator("#other-rooms bdi")

    async def say(self, text: str) -> None:
        await self.page.get_by_role("textbox", name="Message").fill(text)
        await self.page.keyboard.press("Enter")

    async def enter(self, room: str) -> None:
        """Looks at a room, and waits until it is there."""
        await self.page.evaluate("(room) => (location.hash = room)", room)
        await expect(self.page.locator("#room-name")).to_have_text(room)
        await expect(self.members.filter(has_text="(you)")).to_have_count(1)

    async def author(self) -> str:
        """What others know the browser's key by."""
        return str(await self.page.evaluate(AUTHOR))

    async def connected(self) -> None:
        await expect(self.state).to_have_text("Connected")


@asynccontextmanager
async def chatting(
    browser: Browser,
    origin: str,
    name: str | None,
    room: str = "general",
    frozen_at: int | None = None,
    line: Callable[[WebSocketRoute], Awaitable[None]] | None = None,
    **context: Any,
) -> AsyncIterator[ChatPage]:
    """Opens the chat as somebody; without a name, as somebody new.

    Its WebSockets go through `line`. With `frozen_at` nothing is random, and once connected the page's clock
    stands at that many seconds.
    """
    opened = await browser.new_context(**context)
    page = await opened.new_page()
    if name is not None:
        await page.add_init_script(REMEMBER.format(json.dumps(name)))
    if line is not None:
        await page.route_web_socket("**", line)
    if frozen_at is not None:
        await page.clock.install(time=0)
        await page.add_init_script("Math.random = () => 0.5")  # the jitter of the delays
    chat = ChatPage(page)
    await page.goto(f"{origin}/chat#{room}")
    if frozen_at is not None:
        await chat.connected()
        await page.clock.pause_at(frozen_at)
    yield chat
    assert chat.complaints == []
    await opened.close()


async def meet(room: str, *pages: ChatPage) -> None:
    """All of them look at a room now."""
    for page in pages:
        await page.enter(room)
    for page in pages:
        await expect(page.members).to_have_count(len(pages))


async def say_plainly(hubbub: HubbubServer, room: str, *texts: str) -> None:
    """Somebody without a browser says something, and stays until it is heard."""
    async with connect(f"{hubbub.origin.replace('http', 'ws')}/chat/{room}?username=eve") as eve:
        for text in texts:
            await eve.send(text)
        while json.loads(await eve.recv())["text"] != texts[-1]:
            pass
