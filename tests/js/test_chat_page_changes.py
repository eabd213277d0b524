"""What people change of what they have said in the chat, on the real server in real Chromium."""

import asyncio
import json
import re

import pytest
from chat_page import ChatPage, chatting, meet, say_plainly
from hubbub_server import HubbubServer
from playwright.async_api import Browser, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_ones_own_message_can_be_edited_and_others_see_it(ada: ChatPage, bob: ChatPage) -> None:
    await meet("edits", ada, bob)
    await ada.say("helo")
    await expect(bob.messages).to_have_text(["helo"])
    await ada.newest.hover()
    await ada.newest.get_by_role("button", name="Edit", exact=True).click()
    box = ada.page.get_by_role("textbox", name="Message")
    await expect(box).to_be_focused()
    await expect(box).to_have_value("helo")
    await box.fill("hello")
    await box.press("Enter")
    await expect(box).to_have_value("")
    for page in (ada, bob):
        await expect(page.messages).to_have_text(["hello"])
        await expect(page.newest.locator(".edited")).to_be_visible()
    await expect(bob.page.get_by_role("button", name="Edit", exact=True)).to_have_count(0)
    await bob.page.reload()
    await bob.connected()
    await expect(bob.messages).to_have_text(["hello"])
    await expect(bob.newest.locator(".edited")).to_be_visible()


async def test_ones_own_message_can_be_deleted_by_keys_alone(ada: ChatPage, bob: ChatPage) -> None:
    await meet("deletions", ada, bob)
    for text in ("keep this", "not this"):
        await ada.say(text)
    await expect(bob.messages).to_have_text(["keep this", "not this"])
    remove = ada.newest.get_by_role("button", name="Delete")
    for answer, texts in (("Enter", "not this"), ("Tab Enter", "This message was deleted")):
        await remove.focus()
        await ada.page.keyboard.press("Enter")
        await expect(ada.page.get_by_role("button", name="Keep it")).to_be_focused()
        for key in answer.split():
            await ada.page.keyboard.press(key)
        await expect(ada.page.get_by_role("dialog")).to_be_hidden()
        for page in (ada, bob):
            await expect(page.messages).to_have_text(["keep this", texts])
    await expect(remove).to_be_hidden()
    await bob.page.reload()
    await bob.connected()
    await expect(bob.messages).to_have_text(["keep this"])


async def test_who_comes_later_cannot_get_what_was_deleted_or_edited(
    browser: Browser, hubbub: HubbubServer, ada: ChatPage, bob: ChatPage
) -> None:
    await meet("regrets", ada, bob)
    for text in ("first", "too private", "too hasty"):
        await ada.say(text)
    await expect(ada.messages).to_have_text(["first", "too private", "too hasty"])
    await ada.page.keyboard.press("ArrowUp")
    await ada.say("well considered")
    await expect(ada.messages.last).to_have_text("well considered")
    await ada.page.locator("#log .message").nth(1).get_by_role("button", name="Delete").press("Enter")
    await ada.page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
    await expect(bob.messages).to_have_text(["first", "This message was deleted", "well considered"])
    async with chatting(browser, hubbub.origin, "eve", "regrets") as eve:
        await expect(eve.messages).to_have_text(["first", "well considered"])
        await expect(eve.newest.locator(".edited")).to_be_visible()
        await eve.say("hello")
        await expect(eve.messages).to_have_text(["first", "well considered", "hello"])
        assert any("well considered" in frame for frame in eve.frames), "no frames were seen"
        assert not [frame for frame in eve.frames if "too " in frame]
    assert any("too private" in frame for frame in bob.frames)
    told = await asyncio.to_thread(hubbub.ask, "history", "chat:regrets")
    assert [json.loads(line.split("\t")[1])["text"] for line in told.splitlines()] == [
        "first",
        "well considered",
        "ada deleted a message",
        "hello",
    ]


async def test_an_edited_message_stays_where_it_was_for_those_who_come_later(
    browser: Browser, hubbub: HubbubServer, ada: ChatPage, bob: ChatPage
) -> None:
    await meet("places", ada)
    await ada.say("Lnuch?")
    await expect(ada.messages).to_have_text(["Lnuch?"])
    answers = [str(number) for number in range(60)]
    await say_plainly(hubbub, "places", *answers)
    await bob.enter("places")
    await expect(bob.messages.last).to_have_text("59")
    seen = await bob.messages.all_text_contents()
    assert "Lnuch?" not in seen, "it must not be on the page yet"
    for text in ("Lunch?", "Lunch at noon?"):
        await ada.page.keyboard.press("ArrowUp")
        await ada.say(text)
        await expect(ada.messages.first).to_have_text(text)
    await ada.say("hello")
    for page in (ada, bob):
        await expect(page.messages.last).to_have_text("hello")
    assert await bob.messages.all_text_contents() == [*seen, "hello"], "an edit is nothing new"
    async with chatting(browser, hubbub.origin, "eve", "places") as eve:
        await expect(eve.messages.last).to_have_text("hello")
        assert "Lunch at noon?" not in await eve.messages.all_text_contents()
        for page in (bob, eve):
            await page.page.get_by_role("button", name="Earlier messages").press("Enter")
            await expect(page.messages).to_have_text(["Lunch at noon?", *answers, "hello"])
            await expect(page.page.locator("#log .message").first.locator(".edited")).to_be_visible()


async def test_an_edit_comes_in_its_place_after_a_while_away(
    hubbub: HubbubServer, ada: ChatPage, bob: ChatPage
) -> None:
    await meet("away", ada, bob)
    await bob.page.goto(f"{hubbub.origin}/")
    for text in ("oen", "two"):
        await ada.say(text)
    await expect(ada.messages).to_have_text(["oen", "two"])
    await ada.page.locator("#log .message").first.get_by_role("button", name="Edit").press("Enter")
    await ada.say("one")
    await expect(ada.messages).to_have_text(["one", "two"])
    await bob.page.go_back()
    await bob.connected()
    await expect(bob.messages).to_have_text(["one", "two"])


async def test_arrow_up_edits_the_last_message_and_escape_leaves_it(ada: ChatPage) -> None:
    await meet("keys", ada)
    await ada.say("one")
    await expect(ada.messages).to_have_text(["one"])
    box = ada.page.get_by_role("textbox", name="Message")
    await box.press("ArrowUp")
    await expect(box).to_have_value("one")
    await box.fill("two")
    await box.press("Escape")
    await expect(box).to_have_value("")
    await expect(ada.page.locator("#editing")).to_be_hidden()
    await ada.say("three")
    await expect(ada.messages).to_have_text(["one", "three"])


async def test_a_change_that_the_server_refuses_is_told_and_the_text_stays(ada: ChatPage) -> None:
    await meet("refusals", ada)
    await ada.say("mine")
    await expect(ada.messages).to_have_text(["mine"])
    box = ada.page.get_by_role("textbox", name="Message")
    await box.press("ArrowUp")
    await box.evaluate("(box) => box.removeAttribute('maxlength')")
    await box.fill("x" * 4001)
    await box.press("Enter")
    await expect(ada.page.get_by_role("alert")).to_have_text("Not changed: bad request")
    await expect(box).to_have_value("x" * 4001)
    await box.press("Escape")
    await expect(ada.messages).to_have_text(["mine"])


async def test_who_takes_anothers_name_does_not_own_the_others_messages(
    browser: Browser, hubbub: HubbubServer, ada: ChatPage
) -> None:
    await meet("names", ada)
    await ada.say("I am ada")
    async with chatting(browser, hubbub.origin, "ada", "names") as other:
        await expect(other.members).to_have_text(["ada", "ada (you)"])
        await expect(other.messages).to_have_text(["I am ada"])
        await expect(other.newest).not_to_have_class(re.compile("mine"))
        id = f"{await ada.author()}.00000000"
        refusal = await other.page.evaluate(CALL_DELETE, id)
    assert refusal == 103


CALL_DELETE = """async (id) => {
    const { Hub } = await import("/hubbub.js");
    const hub = new Hub("/connection/websocket");
    hub.room("chat:names", { data: { name: "ada", key: localStorage.getItem("hubbub.key") } }).subscribe();
    const { code } = await hub.rpc("chat.delete", { room: "names", id }).catch((error) => error);
    hub.close();
    return code;
}"""


async def test_an_edit_is_known_when_its_message_comes_later_from_above(
    hubbub: HubbubServer, ada: ChatPage
) -> None:
    await meet("late", ada)
    await ada.say("helo")
    await expect(ada.messages).to_have_text(["helo"])
    await ada.page.keyboard.press("ArrowUp")
    await ada.say("hello")
    await expect(ada.messages).to_have_text(["hello"])
    await say_plainly(hubbub, "late", *(str(number) for number in range(49)))
    await ada.page.reload()
    await ada.connected()
    await expect(ada.messages.last).to_have_text("48")
    await ada.page.locator("#scroller").evaluate("(scroller) => (scroller.scrollTop = 0)")
    await expect(ada.messages.first).to_have_text("hello")
    await expect(ada.page.locator("#log .message").first.locator(".edited")).to_be_visible()
