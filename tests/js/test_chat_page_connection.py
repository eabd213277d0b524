"""The chat page when the server goes away, on the real server in real Chromium."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_page import ChatPage, chatting
from hubbub_server import HubbubServer
from playwright.async_api import Browser, WebSocketRoute, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def hubbub(tmp_path: Path) -> Iterator[HubbubServer]:
    server = HubbubServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[HubbubServer]:
    """With a SQLite file: it knows its rooms again when it is started again."""
    server = HubbubServer(tmp_path, keeps=True, drain=1)
    server.start()
    yield server
    server.kill()


async def test_two_pages_come_back_by_themselves_when_the_server_does(
    browser: Browser, hubbub: HubbubServer
) -> None:
    async with chatting(browser, hubbub.origin, "ada") as ada, chatting(browser, hubbub.origin, "bob") as bob:
        await expect(ada.members).to_have_text(["ada (you)", "bob"])
        await expect(bob.members).to_have_text(["ada", "bob (you)"])
        hubbub.kill()
        for page in (ada, bob):
            await expect(page.state).to_have_text("Reconnecting")
            await expect(page.page.locator("#trouble")).to_contain_text("The connection is lost.")
        await ada.say("first")
        await ada.say("second")
        await expect(ada.pending).to_have_text(["first", "second"])
        await expect(ada.page.locator("#pending .note span").first).to_have_text("Waiting for the connection")
        await expect(ada.messages).to_have_count(0)

        hubbub.start()
        for page in (bob, ada):
            await page.connected()
            await expect(page.page.locator("#trouble")).to_be_hidden()
        await expect(ada.messages).to_have_text(["first", "second"])
        await expect(ada.pending).to_have_count(0)
        await expect(ada.members).to_have_text(["ada (you)", "bob"])


async def test_what_was_said_is_there_and_after_a_restart_nothing_is_missing_or_double(
    browser: Browser, kept: HubbubServer
) -> None:
    async with chatting(browser, kept.origin, "ada") as ada:
        await ada.connected()
        for text in ("<b>one</b>", "two"):
            await ada.say(text)
        await expect(ada.messages).to_have_text(["<b>one</b>", "two"])
        kept.kill()
        await expect(ada.state).to_have_text("Reconnecting")
        await ada.say("three")
        kept.start()
        await ada.page.evaluate("dispatchEvent(new Event('online'))")
        said = ["<b>one</b>", "two", "three"]
        await expect(ada.messages).to_have_text(said)
        await expect(ada.pending).to_have_count(0)
        async with chatting(browser, kept.origin, "bob") as bob:
            await expect(bob.members).to_have_text(["ada", "bob (you)"])
            await expect(bob.messages).to_have_text(said)
            await bob.say("four")
            await expect(ada.messages).to_have_text([*said, "four"])
            await expect(bob.messages).to_have_text([*said, "four"])
            assert await bob.page.locator("#log b").count() == 0
            for time in (bob.page.locator("#log .message time").first, bob.page.locator("#log time").last):
                await expect(time).to_have_attribute("datetime", re.compile(r"^20\d\d-.*Z$"))


async def test_the_countdown_counts_and_try_now_does_not_wait_for_it(
    browser: Browser, hubbub: HubbubServer
) -> None:
    async with chatting(browser, hubbub.origin, "ada", frozen_at=60) as ada:
        countdown = ada.page.locator("#countdown")
        hubbub.kill()
        await expect(countdown).to_have_text("Next try in 2 s.")  # one second, and the jitter
        for attempt, seconds in ((2, 3), (3, 5)):
            await try_now(ada)
            await expect(countdown).to_have_text(f"Next try in {seconds} s.")
            assert len(ada.sockets) == attempt
        await ada.page.clock.run_for(2000)
        await expect(countdown).to_have_text("Next try in 3 s.")

        hubbub.start()
        await try_now(ada)
        await ada.connected()
        await expect(ada.page.locator("#trouble")).to_be_hidden()


async def try_now(page: ChatPage) -> None:
    await page.page.get_by_role("button", name="Try now").click()


class DeafLine:
    """A page's line to the server, through which, once it is deaf, nothing comes back."""

    def __init__(self) -> None:
        self.deaf = False
        self.sent = 0
        """Messages of the chat that the page has sent."""
        self._ends: list[WebSocketRoute] = []

    async def connect(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        self._ends.append(route)

        def to_server(frame: str | bytes) -> None:
            self.sent += str(frame).count("chat.say")
            server.send(frame)

        route.on_message(to_server)
        server.on_message(lambda frame: None if self.deaf else route.send(frame))

    async def cut(self) -> None:
        """Ends it; the page's next one is good."""
        self.deaf = False
        await self._ends.pop().close(code=1013)


async def test_a_message_whose_answer_is_lost_appears_once(browser: Browser, kept: HubbubServer) -> None:
    line = DeafLine()
    async with (
        chatting(browser, kept.origin, "bob") as bob,
        chatting(browser, kept.origin, "ada", line=line.connect) as ada,
    ):
        await bob.connected()
        await ada.connected()
        line.deaf = True
        await ada.say("did you get this?")
        await expect(bob.messages).to_have_text(["did you get this?"])
        await expect(ada.page.locator("#pending .note span")).to_have_text("Sending")
        await line.cut()
        await expect(ada.messages).to_have_text(["did you get this?"])
        await expect(ada.pending).to_have_count(0)
        assert line.sent == 1, "it was among what was missed"


async def test_a_message_whose_answer_is_lost_and_that_is_deleted_elsewhere_waits_no_more(
    browser: Browser, kept: HubbubServer
) -> None:
    line = DeafLine()
    async with chatting(browser, kept.origin, "ada", line=line.connect) as ada:
        await ada.connected()
        other = await ada.page.context.new_page()
        await other.goto(f"{kept.origin}/chat#general")
        await expect(other.locator("#state")).to_have_text("Connected")
        line.deaf = True
        await ada.say("too hasty")
        await expect(other.locator("#log .text")).to_have_text(["too hasty"])
        await expect(ada.page.locator("#pending .note span")).to_have_text("Sending")
        await other.get_by_role("button", name="Delete").first.press("Enter")
        await other.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
        await expect(other.locator("#log .text")).to_have_text(["This message was deleted"])
        await line.cut()
        await ada.connected()
        await expect(ada.pending).to_have_count(0)
        await expect(ada.messages).to_have_count(0)


async def test_a_message_that_did_not_arrive_is_sent_again_by_itself(
    browser: Browser, hubbub: HubbubServer
) -> None:
    async with chatting(browser, hubbub.origin, "ada") as ada:
        await ada.connected()
        hubbub.freeze()
        await ada.say("did you get this?")
        await expect(ada.page.locator("#pending .note span")).to_have_text("Sending")
        hubbub.kill()
        await expect(ada.page.locator("#pending .note span")).to_have_text("Waiting for the connection")
        hubbub.start()
        await ada.page.evaluate("dispatchEvent(new Event('online'))")
        await expect(ada.messages).to_have_text(["did you get this?"])
        await expect(ada.pending).to_have_count(0)


async def test_a_deploy_neither_loses_nor_doubles_what_two_people_say(
    browser: Browser, kept: HubbubServer
) -> None:
    async with chatting(browser, kept.origin, "ada") as ada, chatting(browser, kept.origin, "bob") as bob:
        for page in (ada, bob):
            await page.connected()
            await page.page.evaluate(CHATTER, 30)
        await expect(ada.messages.nth(10)).to_be_attached()
        await asyncio.to_thread(kept.stop)
        kept.start()
        for page in (ada, bob):
            await expect(page.messages).to_have_count(60)
            await expect(page.pending).to_have_count(0)
            own = page.page.locator("#log .mine .text")
            assert await own.all_inner_texts() == [str(number) for number in range(30)], "in their order"
        assert await ada.messages.all_inner_texts() == await bob.messages.all_inner_texts()


CHATTER = """(count) => {
    const composer = document.querySelector("#composer");
    let number = 0;
    const timer = setInterval(() => {
        composer.elements.text.value = String(number++);
        composer.requestSubmit();
        if (number === count) clearInterval(timer);
    }, 50);
}"""


async def test_what_was_written_without_a_connection_survives_a_reload(
    browser: Browser, hubbub: HubbubServer
) -> None:
    async with chatting(browser, hubbub.origin, "ada") as ada:
        await ada.connected()
        hubbub.kill()
        await expect(ada.state).to_have_text("Reconnecting")
        await ada.say("later")
        await expect(ada.pending).to_have_text(["later"])
        hubbub.start()
        await ada.page.reload()
        await expect(ada.messages).to_have_text(["later"])
        await expect(ada.pending).to_have_count(0)


async def test_a_full_queue_is_told_and_what_waits_in_it_arrives_in_its_order(
    browser: Browser, hubbub: HubbubServer
) -> None:
    async with chatting(browser, hubbub.origin, "ada") as ada:
        await ada.connected()
        hubbub.kill()
        await expect(ada.state).to_have_text("Reconnecting")
        told = await ada.page.evaluate("""() => {
            const composer = document.querySelector("#composer");
            for (let i = 0; i < 101; i += 1) {
                composer.elements.text.value = String(i);
                composer.requestSubmit();
            }
            return document.querySelector("#trouble").innerText;
        }""")
        assert "No more messages can wait." in told  # until the next attempt to connect
        await expect(ada.page.get_by_role("textbox", name="Message")).to_have_value("100")
        await expect(ada.pending).to_have_count(100)
        hubbub.start()
        await ada.page.evaluate("dispatchEvent(new Event('online'))")
        # More than the server's rates let through at once: what it refuses waits, and is sent again.
        await expect(ada.messages).to_have_text([str(number) for number in range(100)])
        await expect(ada.pending).to_have_count(0)
