"""Heartbeat, watchdog, and what the browser says of network and page."""

import pytest
from client_page import ClientPage
from scripted_server import receive

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_heartbeat_is_asked_for_answered_and_hidden(client: ClientPage) -> None:
    await client.open("/ws?room=a", heartbeat=True)
    server = await client.server.connection()
    assert client.server.query(0) == {"room": ["a"], "heartbeat": ["1"]}
    for ping in ['{"type":"ping"}', '{"type": "ping"}']:
        await server.send(ping)
        assert await receive(server) == ["pong"]
    from_a_user = '{"type":"ping","text":"hello"}'
    await server.send(from_a_user)
    await client.event("message")
    assert [event["data"] for event in await client.events("message")] == [from_a_user]


async def test_without_heartbeat_a_ping_is_a_message_like_any_other(client: ClientPage) -> None:
    await client.open()
    server = await client.server.connection()
    await server.send('{"type":"ping"}')
    assert (await client.event("message"))["data"] == '{"type":"ping"}'
    await client.js("socket.send('first')")
    assert await receive(server) == ["first"]
    assert client.server.attempts == ["/ws"]


async def test_a_silent_link_is_abandoned_though_its_socket_never_closes(client: ClientPage) -> None:
    await client.freeze_time()
    await client.open(watchdog=150, minDelay=20)
    silent = await client.server.connection()
    await client.event("open")
    silent.transport.pause_reading()  # nothing is answered from here on, not even the closing handshake
    await client.pass_time(150)
    close = await client.event("close")
    assert (close["code"], close["reason"], close["wasClean"]) == (1006, "silent too long", False)
    await client.pass_time((await client.event("reconnecting"))["detail"]["delay"])
    second = await client.server.connection()
    await client.event("open", 2)
    await client.js("socket.send('alive')")
    assert await receive(second) == ["alive"]


async def test_a_link_that_falls_silent_when_the_clock_is_put_back_is_abandoned(
    client: ClientPage,
) -> None:
    await client.freeze_time()
    await client.open(watchdog=150)
    await client.server.connection()
    await client.event("open")
    await client.page.clock.set_system_time(0)
    await client.pass_time(300)  # it may look twice
    assert (await client.event("close"))["reason"] == "silent too long"


async def test_any_message_keeps_the_watchdog_quiet(client: ClientPage) -> None:
    await client.freeze_time()
    await client.open(heartbeat=True)
    server = await client.server.connection()
    await client.event("open")
    for number in range(1, 4):
        await client.pass_time(44_000)
        await server.send(f"message {number}")
        await client.event("message", number)
    await client.pass_time(44_999)
    assert await client.events("close") == []
    await client.pass_time(1)
    assert (await client.event("close"))["reason"] == "silent too long"


async def test_without_heartbeat_and_watchdog_a_link_may_be_silent_for_ever(client: ClientPage) -> None:
    await client.freeze_time()
    await client.open()
    await client.server.connection()
    await client.event("open")
    await client.pass_time(24 * 3600 * 1000)
    assert [event["type"] for event in await client.events()] == ["open"]


async def test_messages_of_an_abandoned_link_are_not_heard(client: ClientPage) -> None:
    await client.freeze_time()
    await client.open(watchdog=100, minDelay=20)
    silent = await client.server.connection()
    await client.event("open")
    silent.transport.pause_reading()
    await client.pass_time(100)
    await client.event("close")
    await silent.send("from the grave")
    await client.pass_time((await client.event("reconnecting"))["detail"]["delay"])
    second = await client.server.connection()
    await second.send("from the living")
    await client.event("message")
    assert [event["data"] for event in await client.events("message")] == ["from the living"]


async def test_the_online_event_ends_a_wait_and_starts_the_delays_over(client: ClientPage) -> None:
    client.server.refuse = True
    await client.open(minDelay=60_000, maxDelay=600_000, jitter=0)
    await client.event("reconnecting")
    await client.js("void window.dispatchEvent(new Event('online'))")
    detail = (await client.event("reconnecting", 2))["detail"]
    assert (detail["attempt"], detail["delay"]) == (1, 60_000)
    client.server.refuse = False
    await client.js("void window.dispatchEvent(new Event('online'))")
    await client.event("open")


async def test_a_page_that_becomes_visible_ends_a_wait(client: ClientPage) -> None:
    client.server.refuse = True
    await client.open(minDelay=60_000)
    await client.event("reconnecting")
    client.server.refuse = False
    become = """(state) => {
        Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    }"""
    await client.page.evaluate(become, "hidden")
    await client.settle()
    assert len(client.server.attempts) == 1
    await client.page.evaluate(become, "visible")
    await client.event("open")
    assert len(client.server.attempts) == 2


async def test_a_page_that_is_put_away_closes_its_connection_until_it_is_visible_again(
    client: ClientPage,
) -> None:
    await client.open(minDelay=60_000)
    server = await client.server.connection()
    await client.event("open")
    await client.js("void dispatchEvent(new PageTransitionEvent('pagehide', { persisted: false }))")
    await client.settle()
    assert await client.events("close") == [], "it is unloaded, which needs nobody's help"
    await client.js("void dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    await server.wait_closed()
    assert (await client.event("close"))["code"] == 1001
    await client.js("void document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")
    await client.event("open", 2)
    assert len(client.server.attempts) == 2


async def test_while_offline_the_longest_delay_is_the_only_one(client: ClientPage) -> None:
    await client.freeze_time()
    client.server.refuse = True
    await client.open()
    await client.event("reconnecting")
    await client.page.context.set_offline(True)
    assert (await client.event("reconnecting", 2))["detail"]["delay"] == 30_000
    await client.pass_time(30_000)
    assert (await client.event("reconnecting", 3))["detail"]["delay"] == 30_000
    client.server.refuse = False
    await client.page.context.set_offline(False)
    await client.event("open")


async def test_going_offline_leaves_an_open_connection_alone(client: ClientPage) -> None:
    await client.open()
    server = await client.server.connection()
    await client.event("open")
    await client.js("void window.dispatchEvent(new Event('offline'))")
    await client.js("socket.send('still here')")
    assert await receive(server) == ["still here"]
    assert [event["type"] for event in await client.events()] == ["open"]


async def test_after_the_end_nothing_wakes_it(client: ClientPage) -> None:
    await client.open()
    await (await client.server.connection()).close(1008)
    await client.event("close")
    await client.js("(window.dispatchEvent(new Event('online')), socket.retryNow())")
    await client.settle()
    assert len(client.server.attempts) == 1
