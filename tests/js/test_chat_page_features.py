"""What people do in the chat, on the real server in real Chromium: each feature, with two of them."""

import re

import pytest
from accessibility import serious_findings
from chat_page import ChatPage, chatting, meet, say_plainly
from hubbub_server import HubbubServer
from playwright.async_api import Browser, expect

HOSTILE = "<img src=x onerror=document.title=1>"

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_that_somebody_types_is_shown_until_the_message_is_there(ada: ChatPage, bob: ChatPage) -> None:
    await meet("typing", ada, bob)
    line = ada.page.locator("#typing")
    await bob.page.get_by_role("textbox", name="Message").press_sequentially("hi")
    await expect(line).to_have_text("bob is typing…")
    await expect(bob.page.locator("#typing")).to_have_text("")
    await bob.page.keyboard.press("Enter")
    await expect(ada.messages).to_have_text(["hi"])
    await expect(line).to_have_text("")


async def test_older_messages_come_when_one_scrolls_up_and_the_place_stays(
    hubbub: HubbubServer, ada: ChatPage
) -> None:
    await say_plainly(hubbub, "long", *(str(number) for number in range(120)))
    await meet("long", ada)
    await expect(ada.messages).to_have_count(50)
    await expect(ada.messages.last).to_be_in_viewport()
    seen = ada.messages.first
    await expect(seen).to_have_text("70")
    await ada.page.locator("#scroller").evaluate("(scroller) => (scroller.scrollTop = 20)")
    await expect(ada.messages).to_have_count(100)
    await expect(ada.messages.nth(50)).to_have_text("70")
    await expect(ada.messages.nth(50)).to_be_in_viewport()
    await expect(ada.messages.first).not_to_be_in_viewport()
    await ada.page.get_by_role("button", name="Earlier messages").press("Enter")
    await expect(ada.messages).to_have_text([str(number) for number in range(120)])
    await expect(ada.page.get_by_role("button", name="Earlier messages")).to_be_hidden()
    assert await ada.page.locator("#announcer p").count() == 0, "a screen reader is not told what is old"


async def test_what_is_unread_is_counted_in_other_rooms_and_while_one_is_away(
    hubbub: HubbubServer, ada: ChatPage, bob: ChatPage
) -> None:
    await meet("busy", ada, bob)
    await ada.enter("quiet")
    await say_plainly(hubbub, "busy", "one", "two")
    busy = ada.page.get_by_role("link", name=re.compile("busy"))
    await expect(busy.locator(".unread")).to_have_text("2 unread")
    await expect(ada.page).to_have_title("(2) #quiet · Hubbub")
    await ada.page.reload()
    await expect(busy.locator(".unread")).to_have_text("2 unread")
    await busy.click()
    await expect(ada.messages).to_have_text(["one", "two"])
    await expect(ada.page).to_have_title("#busy · Hubbub")
    await ada.enter("quiet")
    await ada.page.reload()
    await ada.connected()
    await expect(busy.locator(".unread")).to_be_hidden()


async def test_addresses_are_links_that_tell_nothing_and_other_schemes_are_text(
    hubbub: HubbubServer, ada: ChatPage
) -> None:
    texts = [
        "see http://a.example/x?y=1#z, and (https://b.example/p).",
        "javascript:alert(1) data:text/html,x ftp://c.example HTTPS://D.example",
        'https://e.example/"onmouseover="document.title=1 <a href="https://f.example">g</a>',
        "http://[bad https://user:secret@h.example http://",
    ]
    await say_plainly(hubbub, "links", *texts)
    await meet("links", ada)
    await expect(ada.messages).to_have_text(texts)
    links = ada.messages.locator("a")
    assert await links.evaluate_all("(all) => all.map((link) => link.href)") == [
        "http://a.example/x?y=1#z",
        "https://b.example/p",
        "https://d.example/",
        "https://e.example/",
        "https://f.example/",
        "https://user:secret@h.example/",
    ]
    assert (
        await links.evaluate_all("(all) => all.map(({ rel, target }) => `${rel} ${target}`)")
        == ["noopener noreferrer nofollow _blank"] * 6
    )


async def test_a_hostile_name_runs_nothing_wherever_it_is_shown(
    browser: Browser, hubbub: HubbubServer, ada: ChatPage
) -> None:
    await meet("hostile", ada)
    async with chatting(browser, hubbub.origin, HOSTILE, "hostile") as mallory:
        await expect(ada.members.filter(has_text=HOSTILE)).to_have_count(1)
        await mallory.page.get_by_role("textbox", name="Message").press_sequentially("x")
        await expect(ada.page.locator("#typing")).to_have_text(f"{HOSTILE} is typing…")
        await mallory.say(HOSTILE)
        await expect(ada.messages).to_have_text([HOSTILE])
        await expect(ada.newest.locator(".from")).to_have_text(HOSTILE)
        await mallory.page.get_by_role("button", name="Change").click()
        await expect(mallory.page.get_by_role("textbox", name="Your name")).to_have_value(HOSTILE)
        await mallory.page.keyboard.press("Escape")
        for page in (ada, mallory):
            assert await page.page.locator("body img[onerror], body script").count() == 0
            await expect(page.page).to_have_title("#hostile · Hubbub")


async def test_windows_of_one_browser_are_one_person(ada: ChatPage, hubbub: HubbubServer) -> None:
    await meet("windows", ada)
    other = ChatPage(await ada.page.context.new_page())
    await other.page.goto(f"{hubbub.origin}/chat#windows")
    await other.connected()
    await other.say("from the other window")
    await expect(ada.messages).to_have_text(["from the other window"])
    await expect(ada.newest).to_have_class(re.compile("mine"))
    for page in (ada, other):
        await expect(page.members).to_have_text(["ada (you)"])
        await expect(page.notices).to_have_count(0)
    await other.page.close()


async def test_the_keyboard_reaches_rooms_conversation_and_box_in_this_order(ada: ChatPage) -> None:
    await meet("focus", ada)
    await ada.page.get_by_role("link", name="Hubbub").focus()
    names = []
    while "Send" not in names:
        await ada.page.keyboard.press("Tab")
        names.append(
            await ada.page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.innerText")
        )
    order = [names.index(name) for name in ("Name of a room", "Change", "Conversation", "Message", "Send")]
    assert order == sorted(order)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(
    browser: Browser, hubbub: HubbubServer, bob: ChatPage, scheme: str
) -> None:
    await meet(f"axe-{scheme}", bob)
    await say_plainly(hubbub, "unread", "hello")
    async with chatting(browser, hubbub.origin, "ada", "unread", color_scheme=scheme) as page:
        await page.connected()
        await page.enter(f"axe-{scheme}")
        await say_plainly(hubbub, "unread", "hello again")
        await expect(page.page.locator("#rooms .unread").last).to_be_visible()
        for text in ("to be edited", "https://example.com"):
            await page.say(text)
        await expect(page.messages.last).to_have_text("https://example.com")
        await page.page.keyboard.press("ArrowUp")
        await page.page.keyboard.press("End")
        await page.page.keyboard.type("/changed")
        await page.page.keyboard.press("Enter")
        await expect(page.newest.locator(".edited")).to_be_visible()
        await bob.page.get_by_role("textbox", name="Message").fill("he")
        await expect(page.page.locator("#typing")).to_have_text("bob is typing…")
        assert await serious_findings(page.page) == []
        await page.newest.get_by_role("button", name="Delete").focus()
        await page.page.keyboard.press("Enter")
        assert await serious_findings(page.page) == [], "with the question"
        await page.page.keyboard.press("Escape")
        await page.page.get_by_role("button", name="Change").click()
        assert await serious_findings(page.page) == [], "with the welcome"
