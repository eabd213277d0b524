"""What people do in the chat, on the real server in real Chromium: each feature, with two of them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from accessibility import serious_findings
from chat_page import ChatPage, chatting
from hubbub_server import HubbubServer
from playwright.async_api import Browser, Locator, expect
from websockets.asyncio.client import connect

HOSTILE = "<img src=x onerror=document.title=1>"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def hubbub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubbubServer]:
    server = HubbubServer(tmp_path_factory.mktemp("hubbub"), talkative=True)
    server.start()
    yield server
    server.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ada(browser: Browser, hubbub: HubbubServer) -> AsyncIterator[ChatPage]:
    """Ada, for all tests; each has a room of its own."""
    async with chatting(browser, hubbub.origin, "ada") as page:
        await page.connected()
        yield page


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bob(browser: Browser, hubbub: HubbubServer) -> AsyncIterator[ChatPage]:
    async with chatting(browser, hubbub.origin, "bob") as page:
        await page.connected()
        yield page


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


def last(page: ChatPage) -> Locator:
    return page.page.locator("#log .message").last


async def test_ones_own_message_can_be_edited_and_others_see_it(ada: ChatPage, bob: ChatPage) -> None:
    await meet("edits", ada, bob)
    await ada.say("helo")
    await expect(bob.messages).to_have_text(["helo"])
    await last(ada).hover()
    await last(ada).get_by_role("button", name="Edit", exact=True).click()
    box = ada.page.get_by_role("textbox", name="Message")
    await expect(box).to_be_focused()
    await expect(box).to_have_value("helo")
    await box.fill("hello")
    await box.press("Enter")
    await expect(box).to_have_value("")
    for page in (ada, bob):
        await expect(page.messages).to_have_text(["hello"])
        await expect(last(page).locator(".edited")).to_be_visible()
    await expect(bob.page.get_by_role("button", name="Edit", exact=True)).to_have_count(0)
    await bob.page.reload()
    await bob.connected()
    await expect(bob.messages).to_have_text(["hello"])
    await expect(last(bob).locator(".edited")).to_be_visible()


async def test_ones_own_message_can_be_deleted_by_keys_alone(ada: ChatPage, bob: ChatPage) -> None:
    await meet("deletions", ada, bob)
    for text in ("keep this", "not this"):
        await ada.say(text)
    await expect(bob.messages).to_have_text(["keep this", "not this"])
    remove = last(ada).get_by_role("button", name="Delete")
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
        await expect(last(eve).locator(".edited")).to_be_visible()
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
        await expect(last(other)).not_to_have_class(re.compile("mine"))
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
        await expect(last(ada).locator(".from")).to_have_text(HOSTILE)
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
    await expect(last(ada)).to_have_class(re.compile("mine"))
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
        await expect(last(page).locator(".edited")).to_be_visible()
        await bob.page.get_by_role("textbox", name="Message").fill("he")
        await expect(page.page.locator("#typing")).to_have_text("bob is typing…")
        assert await serious_findings(page.page) == []
        await last(page).get_by_role("button", name="Delete").focus()
        await page.page.keyboard.press("Enter")
        assert await serious_findings(page.page) == [], "with the question"
        await page.page.keyboard.press("Escape")
        await page.page.get_by_role("button", name="Change").click()
        assert await serious_findings(page.page) == [], "with the welcome"
