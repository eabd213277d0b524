"""The chat page, on the real server in real Chromium."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from chat_page import ChatPage, chatting
from hubbub_server import HubbubServer
from playwright.async_api import Browser, expect
from websockets.asyncio.client import ClientConnection, connect

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = (
    '<img src=x onerror="document.title=1"><script>document.title=1</script>\N{RIGHT-TO-LEFT OVERRIDE}abc'
)


@pytest_asyncio.fixture(loop_scope="session")
async def ada(
    browser: Browser, hubbub: HubbubServer, request: pytest.FixtureRequest
) -> AsyncIterator[ChatPage]:
    """Ada in a room of the test's own."""
    async with chatting(browser, hubbub.origin, "ada", room_of(request)) as page:
        await page.connected()
        yield page


def room_of(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).replace("_", "-")[-40:].strip("-")


async def somebody(hubbub: HubbubServer, room: str, name: str) -> ClientConnection:
    """A member without a browser."""
    address = f"{hubbub.origin.replace('http', 'ws')}/chat/{room}?username={name}"
    return await connect(address, max_queue=None)


async def test_two_people_hear_each_other_and_see_who_is_here(
    browser: Browser, hubbub: HubbubServer, ada: ChatPage, request: pytest.FixtureRequest
) -> None:
    async with chatting(browser, hubbub.origin, "bob", room_of(request)) as bob:
        await expect(ada.notices.last).to_have_text("bob joined")
        await expect(ada.members).to_have_text(["ada (you)", "bob"])
        await ada.say("hello")
        await ada.say("anybody there?")
        await expect(bob.messages).to_have_text(["hello", "anybody there?"])
        await bob.say("yes")
        await expect(ada.messages).to_have_text(["hello", "anybody there?", "yes"])
        await expect(ada.pending).to_have_count(0)
        await expect(bob.page.locator("#log .message.grouped .text")).to_have_text(["anybody there?"])
        await expect(bob.page.locator("#log .message time").first).to_have_text(re.compile(r"^\d{1,2}:\d\d"))
    await expect(ada.notices.last).to_have_text("bob left")
    await expect(ada.members).to_have_text(["ada (you)"])


async def test_a_newcomer_picks_a_name_and_is_remembered(browser: Browser, hubbub: HubbubServer) -> None:
    async with chatting(browser, hubbub.origin, None, "newcomers") as page:
        name = page.page.get_by_role("textbox", name="Your name")
        await expect(name).to_be_focused()
        await name.fill("   ")
        await page.page.keyboard.press("Enter")
        await expect(page.page.get_by_role("dialog")).to_be_visible()
        await name.fill("Grace Hopper")
        await page.page.keyboard.press("Enter")
        await expect(page.members).to_have_text(["Grace Hopper (you)"])
        await expect(page.page.get_by_role("textbox", name="Message")).to_be_focused()
        await page.page.reload()
        await expect(page.members).to_have_text(["Grace Hopper (you)"])
        await page.page.get_by_role("button", name="Change").click()
        await name.fill("Grace")
        await page.page.keyboard.press("Enter")
        await expect(page.members).to_have_text(["Grace (you)"])


async def test_the_name_of_the_notices_cannot_be_picked(browser: Browser, hubbub: HubbubServer) -> None:
    async with chatting(browser, hubbub.origin, None) as page:
        await page.page.get_by_role("textbox", name="Your name").fill("System")
        await page.page.keyboard.press("Enter")
        await expect(page.page.get_by_role("dialog")).to_be_visible()
        assert page.sockets == []


async def test_a_refusal_is_told_in_the_servers_words_and_not_tried_again(
    browser: Browser, hubbub: HubbubServer
) -> None:
    async with chatting(browser, hubbub.origin, "system") as page:
        await expect(page.state).to_have_text("Disconnected")
        await expect(page.page.locator("#trouble")).to_contain_text("Please take another name")
        await page.say("is anybody there?")
        await expect(page.page.get_by_role("button", name="Connect again")).to_be_focused()
        await expect(page.page.get_by_role("textbox", name="Message")).to_have_value("is anybody there?")
        assert len(page.sockets) == 1
        await page.page.keyboard.press("Enter")
        await expect(page.state).to_have_text("Disconnected")
        assert len(page.sockets) == 2


async def test_hostile_text_stays_text(
    hubbub: HubbubServer, ada: ChatPage, request: pytest.FixtureRequest
) -> None:
    room = room_of(request)
    async with await somebody(hubbub, room, "%3Cb%3Emallory%3C%2Fb%3E") as mallory:
        await mallory.send(HOSTILE)
        await expect(ada.messages).to_have_text([HOSTILE])
        await expect(ada.members).to_have_text(["<b>mallory</b>", "ada (you)"])
        await expect(ada.notices.last).to_have_text("<b>mallory</b> joined")
        await ada.say(HOSTILE)
        await expect(ada.messages).to_have_text([HOSTILE, HOSTILE])
    assert await ada.page.locator("#log img, #log script, #log b, #members b").count() == 0
    assert await ada.page.title() == f"#{room} · Hubbub"


async def test_rooms_are_listed_made_entered_and_left(
    hubbub: HubbubServer, ada: ChatPage, request: pytest.FixtureRequest
) -> None:
    async with await somebody(hubbub, "zebras", "zoe") as zoe:
        await ada.page.get_by_label("Name of a room").fill("комната")
        await ada.page.keyboard.press("Enter")
        await expect(ada.page.get_by_label("Name of a room")).to_have_value("комната")
        await ada.page.get_by_label("Name of a room").fill(" Ada's Café! ")
        await ada.page.keyboard.press("Enter")
        await expect(ada.page.get_by_role("heading", level=1)).to_have_text("#ada-s-cafe")
        await ada.connected()
        await expect(ada.other_rooms.filter(has_text="zebras")).to_be_visible()
        await expect(ada.page.locator("#rooms [aria-current] bdi")).to_have_text("ada-s-cafe")
        await expect(ada.members).to_have_text(["ada (you)"])
        await ada.say("left behind")
        await expect(ada.messages).to_have_text(["left behind"])

        await ada.page.get_by_role("link", name="zebras").click()
        await expect(ada.members).to_have_text(["ada (you)", "zoe"])
        await zoe.send("welcome")
        await expect(ada.messages).to_have_text(["welcome"])
        assert ada.page.url.endswith("#zebras")
        await expect(ada.other_rooms.filter(has_text="zebras")).to_have_count(0)
        await expect(ada.rooms).to_have_text(["ada-s-cafe", room_of(request), "zebras"])
        await ada.page.get_by_role("button", name="Leave zebras").click()
        await expect(ada.page.get_by_role("heading", level=1)).to_have_text(f"#{room_of(request)}")
        await expect(ada.rooms).to_have_text(["ada-s-cafe", room_of(request)])


@pytest.mark.parametrize("address", ["%E0%A4%A", "", "/../", "A%2Fb"])
async def test_any_address_leads_to_a_room(browser: Browser, hubbub: HubbubServer, address: str) -> None:
    async with chatting(browser, hubbub.origin, "ada", address) as page:
        await page.connected()
        heading = "#a-b" if address == "A%2Fb" else "#general"
        await expect(page.page.get_by_role("heading", level=1)).to_have_text(heading)


async def test_enter_sends_and_shift_enter_breaks_the_line(ada: ChatPage) -> None:
    box = ada.page.get_by_role("textbox", name="Message")
    await box.press_sequentially("one")
    await box.press("Shift+Enter")
    await box.press_sequentially("two")
    assert await box.get_attribute("rows") == "2"
    await box.press("Enter")
    await expect(box).to_have_value("")
    await expect(ada.messages).to_have_text("one\ntwo")
    assert await ada.messages.first.inner_text() == "one\ntwo"
    await box.press("Enter")
    await expect(ada.pending).to_have_count(0)
    await expect(ada.messages).to_have_count(1)


async def test_a_message_that_the_server_does_not_take_can_be_sent_again(ada: ChatPage) -> None:
    box = ada.page.get_by_role("textbox", name="Message")
    await box.evaluate("(box) => box.removeAttribute('maxlength')")
    await ada.say("x" * 4001)
    await expect(ada.page.locator("#pending .note")).to_contain_text("Not sent: bad request")
    await ada.say("shorter")
    await expect(ada.messages).to_have_text("shorter")
    await ada.page.get_by_role("button", name="Send again").click()
    await expect(ada.page.locator("#pending .note")).to_contain_text("Not sent: bad request")
    await ada.page.get_by_role("button", name="Discard").click()
    await expect(ada.pending).to_have_count(0)


async def test_what_others_say_is_told_to_screen_readers(
    hubbub: HubbubServer, ada: ChatPage, request: pytest.FixtureRequest
) -> None:
    announced = ada.page.get_by_role("log", name="New messages").locator("p")
    await ada.say("hello")
    await expect(ada.messages).to_have_text("hello")
    async with await somebody(hubbub, room_of(request), "bob") as bob:
        await bob.send("good morning")
        await expect(announced).to_have_text(["bob joined", "bob: good morning"])
    await expect(ada.page.get_by_role("status")).to_have_text("Connected")
    spoken = ada.page.get_by_role("list", name="Messages", exact=True).get_by_role("listitem")
    await expect(spoken.filter(has_text="good morning")).to_have_count(1)


async def test_only_the_last_five_hundred_messages_are_kept(
    hubbub: HubbubServer, ada: ChatPage, request: pytest.FixtureRequest
) -> None:
    async with await somebody(hubbub, room_of(request), "bob") as bob:
        for number in range(600):
            await bob.send(str(number))
        await expect(ada.messages.last).to_have_text("599")
        assert await ada.page.locator("#log li").count() == 500
        await expect(ada.page.locator("#log li").first).to_contain_text("bob")
        await expect(ada.messages.last).to_be_in_viewport()


async def test_who_reads_above_is_not_pulled_down(
    hubbub: HubbubServer, ada: ChatPage, request: pytest.FixtureRequest
) -> None:
    async with await somebody(hubbub, room_of(request), "bob") as bob:
        for number in range(60):
            await bob.send(str(number))
        await expect(ada.messages.last).to_have_text("59")
        await ada.page.locator("#scroller").evaluate("(scroller) => (scroller.scrollTop = 0)")
        await bob.send("look here")
        await expect(ada.messages.last).to_have_text("look here")
        await expect(ada.messages.last).not_to_be_in_viewport()
        await ada.page.get_by_role("button", name="New messages").click()
        await expect(ada.messages.last).to_be_in_viewport()
        await expect(ada.page.get_by_role("button", name="New messages")).to_be_hidden()


async def test_it_fits_a_phone(browser: Browser, hubbub: HubbubServer) -> None:
    phone = {"width": 360, "height": 640}
    async with chatting(browser, hubbub.origin, "ada", "phones", viewport=phone, has_touch=True) as page:
        await page.connected()
        await page.say("x" * 300)
        await expect(page.messages).to_have_count(1)
        assert await page.page.evaluate("document.documentElement.scrollWidth") == 360
        for control in ("Send", "Rooms and people"):
            await expect(page.page.get_by_role("button", name=control)).to_be_in_viewport(ratio=1)
        await expect(page.page.locator("#sidebar")).to_be_hidden()
        menu = page.page.get_by_role("button", name="Rooms and people")
        await menu.tap()
        await expect(menu).to_have_attribute("aria-expanded", "true")
        await expect(page.members).to_have_text(["ada (you)"])
        await expect(page.members.first).to_be_in_viewport()
        await page.page.keyboard.press("Escape")
        await expect(page.page.locator("#sidebar")).to_be_hidden()


async def test_it_is_dark_where_the_user_likes_it_dark(browser: Browser, hubbub: HubbubServer) -> None:
    brightness = (
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b)"
    )
    seen = []
    for scheme in ("light", "dark"):
        async with chatting(browser, hubbub.origin, "ada", "themes", color_scheme=scheme) as page:
            seen.append(await page.page.evaluate(brightness))
    assert seen[0] > 600
    assert seen[1] < 150
