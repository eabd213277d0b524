"""The chat page when the server goes away, on the real server in real Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_page import ChatPage, chatting
from hubbub_server import HubbubServer
from playwright.async_api import Browser, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def hubbub(tmp_path: Path) -> Iterator[HubbubServer]:
    server = HubbubServer(tmp_path)
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
    browser: Browser, tmp_path: Path
) -> None:
    hubbub = HubbubServer(tmp_path, keeps=True)
    hubbub.start()
    async with chatting(browser, hubbub.origin, "ada") as ada:
        await ada.connected()
        for text in ("<b>one</b>", "two"):
            await ada.say(text)
        await expect(ada.messages).to_have_text(["<b>one</b>", "two"])
        hubbub.kill()
        await expect(ada.state).to_have_text("Reconnecting")
        await ada.say("three")
        hubbub.start()
        await ada.page.evaluate("dispatchEvent(new Event('online'))")
        said = ["<b>one</b>", "two", "three"]
        await expect(ada.messages).to_have_text(said)
        await expect(ada.pending).to_have_count(0)
        async with chatting(browser, hubbub.origin, "bob") as bob:
            await expect(bob.members).to_have_text(["ada", "bob (you)"])
            await expect(bob.messages).to_have_text(said)
            await bob.say("four")
            await expect(ada.messages).to_have_text([*said, "four"])
            await expect(bob.messages).to_have_text([*said, "four"])
            assert await bob.page.locator("#log b").count() == 0
            # Nobody knows any more when it was said.
            await expect(bob.page.locator("#log .message time").first).to_have_text("")
            await expect(bob.page.locator("#log .message time").last).not_to_have_text("")
    hubbub.kill()


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


async def test_a_message_that_nobody_confirmed_can_be_sent_again(
    browser: Browser, hubbub: HubbubServer
) -> None:
    async with chatting(browser, hubbub.origin, "ada") as ada:
        await ada.connected()
        hubbub.freeze()
        await ada.say("did you get this?")
        await expect(ada.pending).to_have_text(["did you get this?"])
        hubbub.kill()
        await expect(ada.page.locator("#pending .note")).to_contain_text("Not confirmed")
        hubbub.start()
        await ada.page.evaluate("dispatchEvent(new Event('online'))")
        await ada.connected()
        await expect(ada.pending).to_have_text(["did you get this?"])
        await ada.page.get_by_role("button", name="Send again").click()
        await expect(ada.messages).to_have_text(["did you get this?"])
        await expect(ada.pending).to_have_count(0)


async def test_a_full_queue_is_told_and_the_text_stays_in_the_box(
    browser: Browser, hubbub: HubbubServer
) -> None:
    async with chatting(browser, hubbub.origin, "ada", frozen_at=60) as ada:
        hubbub.kill()
        await expect(ada.state).to_have_text("Reconnecting")
        box = ada.page.get_by_role("textbox", name="Message")
        await box.fill("x" * 4000)
        await ada.page.evaluate("""() => {
            const composer = document.querySelector("#composer");
            const [box] = composer;
            for (let i = 0; i < 270; i += 1) {
                box.value = "x".repeat(4000);
                composer.requestSubmit();
            }
        }""")
        await expect(ada.page.locator("#trouble")).to_contain_text("No more messages can wait.")
        await expect(box).to_have_value("x" * 4000)
        await expect(ada.pending).to_have_count(257)  # of 4 KB and what a command has around it, in 1 MiB
