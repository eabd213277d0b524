"""When ReconnectingWebSocket comes back, how long it waits, and when it stays away."""

from typing import Any

import pytest
from client_page import ClientPage
from scripted_server import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAST: dict[str, Any] = {"minDelay": 20, "maxDelay": 200}


async def lose(client: ClientPage, code: int = 1012) -> None:
    """Waits for the next connection and closes it from the server."""
    await (await client.server.connection()).close(code)


async def test_delays_grow_from_one_second_to_thirty_with_jitter(client: ClientPage) -> None:
    await client.freeze_time()
    client.server.refuse = True
    await client.open()
    details = []
    for number in range(1, 9):
        event = await client.event("reconnecting", number)
        details.append(event["detail"])
        await client.pass_time(event["detail"]["delay"])
    assert [detail["attempt"] for detail in details] == [1, 2, 3, 4, 5, 6, 7, 8]
    delays = [detail["delay"] for detail in details]
    for delay, base in zip(delays[:5], [1000, 2000, 4000, 8000, 16000], strict=True):
        assert base <= delay <= base * 1.25
    assert delays[5:] == [30_000, 30_000, 30_000]
    assert any(delay % 1000 for delay in delays[:5]), "no jitter"


async def test_the_attempt_comes_when_reconnecting_says_and_not_before(client: ClientPage) -> None:
    await client.freeze_time()
    client.server.refuse = True
    await client.open()
    event = await client.event("reconnecting")
    assert event["detail"]["at"] == 60_000 + event["detail"]["delay"]
    await client.pass_time(event["detail"]["delay"] - 1)
    assert len(await client.events("reconnecting")) == 1
    assert len(client.server.attempts) == 1
    await client.pass_time(1)
    await client.server.attempted(2)


async def test_a_loss_is_told_by_close_then_reconnecting_and_open_when_it_is_back(client: ClientPage) -> None:
    await client.open(**FAST)
    await lose(client)
    await client.server.connection()
    await client.event("open", 2)
    events = [(event["type"], event["readyState"]) for event in await client.events()]
    assert events == [("open", 1), ("close", 0), ("reconnecting", 0), ("open", 1)]
    assert (await client.events("close"))[0]["code"] == 1012
    assert await client.js("socket.readyState") == 1


async def test_a_server_that_vanishes_is_told_by_error_and_close_1006(client: ClientPage) -> None:
    await client.open(**FAST)
    server = await client.server.connection()
    await client.event("open")
    server.transport.abort()
    close = await client.event("close")
    assert (close["code"], close["wasClean"]) == (1006, False)
    await client.server.connection()
    await client.event("open", 2)


async def test_after_a_success_the_delays_start_over(client: ClientPage) -> None:
    client.server.refuse = True
    await client.open(**FAST, jitter=0)
    detail = (await client.event("reconnecting", 3))["detail"]
    assert (detail["attempt"], detail["delay"]) == (3, 80)
    client.server.refuse = False
    server = await client.server.connection()
    await server.send("a message makes it a success")
    await client.event("message")
    before = len(await client.events("reconnecting"))
    await server.close(1012)
    detail = (await client.event("reconnecting", before + 1))["detail"]
    assert (detail["attempt"], detail["delay"]) == (1, 20)


async def test_a_connection_that_stayed_open_for_the_first_delay_is_a_success(client: ClientPage) -> None:
    await client.freeze_time()
    await client.open(jitter=0)
    for number in (1, 2):
        await lose(client)
        await client.event("reconnecting", number)
        await client.pass_time(4000)
    server = await client.server.connection()
    await client.event("open", 3)
    await client.pass_time(1000)
    await server.close(1012)
    attempts = [(await client.event("reconnecting", n))["detail"]["delay"] for n in (1, 2, 3)]
    assert attempts == [1000, 2000, 1000]


async def test_a_connection_that_opens_and_dies_at_once_is_no_success(client: ClientPage) -> None:
    await client.freeze_time()
    await client.open(jitter=0)
    delays = []
    for number in (1, 2, 3):
        await lose(client)
        delays.append((await client.event("reconnecting", number))["detail"]["delay"])
        await client.pass_time(delays[-1])
    assert delays == [1000, 2000, 4000]


async def test_some_close_codes_end_it(client: ClientPage) -> None:
    await client.freeze_time()
    for attempts, code in enumerate([1000, 1008, 3500, 3999, 4500, 4999], start=1):
        await client.open()
        await lose(client, code)
        close = await client.event("close")
        assert (close["code"], close["readyState"], close["wasClean"]) == (code, 3, True)
        await client.pass_time(3_600_000)
        await client.settle()
        assert [event["type"] for event in await client.events()] == ["open", "close"], code
        assert len(client.server.attempts) == attempts


async def test_it_comes_back_from_other_close_codes(client: ClientPage) -> None:
    await client.open(minDelay=20, maxDelay=20)
    for number, code in enumerate([1001, 1011, 1012, 1013, 3000, 3499, 4000, 4400, 4401, 4499], start=1):
        await lose(client, code)
        assert (await client.event("close", number))["code"] == code
        await client.event("open", number + 1)


async def test_a_refusal_with_a_message_is_heard_and_not_tried_again(client: ClientPage) -> None:
    await client.open(**FAST)
    server = await client.server.connection()
    await server.send('{"type":"error","msg":"Unauthorized"}')
    await server.close(1008)
    assert (await client.event("close"))["readyState"] == 3
    assert (await client.event("message"))["data"] == '{"type":"error","msg":"Unauthorized"}'
    assert await client.events("reconnecting") == []


async def test_close_during_a_wait_ends_it_with_one_last_close_event(client: ClientPage) -> None:
    await client.freeze_time()
    client.server.refuse = True
    await client.open()
    await client.event("reconnecting")
    await client.js("socket.close()")
    assert await client.js("socket.readyState") == 3
    await client.js("['online', 'offline'].forEach((type) => window.dispatchEvent(new Event(type)))")
    await client.js("socket.retryNow()")
    await client.pass_time(3_600_000)
    await client.settle()
    events = [(event["type"], event["readyState"]) for event in await client.events()]
    assert events == [("error", 0), ("close", 0), ("reconnecting", 0), ("close", 3)]
    assert len(client.server.attempts) == 1


@pytest.mark.parametrize("kind", ["close", "reconnecting"])
async def test_close_called_in_a_handler_of_the_loss_ends_it(client: ClientPage, kind: str) -> None:
    await client.freeze_time()
    await client.open()
    await client.js(f"void socket.addEventListener('{kind}', () => socket.close(), {{ once: true }})")
    await lose(client)
    await client.event("close", 2)
    await client.pass_time(3_600_000)
    await client.settle()
    assert await client.js("socket.readyState") == 3
    assert len(await client.events("close")) == 2
    assert len(client.server.attempts) == 1


async def test_close_at_any_moment_of_a_failing_attempt_ends_it_once(client: ClientPage) -> None:
    ends = await client.js("""async () => {
        const ends = [];
        for (let moment = 0; moment < 12; moment += 1) {
            const getToken = () => Promise.reject(new Error("no token"));
            const socket = new ReconnectingWebSocket("/ws", [], { getToken });
            let ended = 0;
            socket.onclose = () => (ended += socket.readyState === socket.CLOSED);
            for (let i = 0; i < moment; i += 1) await null;
            socket.close();
            await new Promise((done) => setTimeout(done));
            ends.push([ended, socket.readyState]);
        }
        return ends;
    }""")
    assert ends == [[1, 3]] * 12
    assert client.server.attempts == []


async def test_close_called_in_the_open_handler_keeps_the_queue_unsent(client: ClientPage) -> None:
    await client.js("""() => {
        connect("/ws");
        socket.send("queued");
        socket.onopen = () => socket.close();
    }""")
    server = await client.server.connection()
    await client.event("close")
    await server.wait_closed()
    assert [message async for message in server] == []
    assert await client.js("socket.bufferedAmount") == len("queued")


async def test_retry_now_ends_a_wait(client: ClientPage) -> None:
    client.server.refuse = True
    await client.open(minDelay=60_000, maxDelay=60_000)
    await client.event("reconnecting")
    client.server.refuse = False
    await client.js("socket.retryNow()")
    await client.event("open")
    await client.js("socket.retryNow()")
    assert len(client.server.attempts) == 2


async def test_retry_now_leaves_an_attempt_alone(client: ClientPage) -> None:
    client.server.hang = True
    await client.js("(window.asked = 0, connect('/ws', [], { getToken: () => void (asked += 1) }), null)")
    await client.server.attempted(1)
    await client.js("socket.retryNow()")
    await client.js("window.dispatchEvent(new Event('online'))")
    assert await client.js("asked") == 1


async def test_an_attempt_that_hangs_is_given_up(client: ClientPage) -> None:
    client.server.hang = True
    await client.open(**FAST, connectTimeout=100)
    close = await client.event("close")
    assert (close["code"], close["reason"]) == (1006, "not in time")
    client.server.hang = False
    await client.event("open")


async def test_an_attempt_may_take_ten_seconds(client: ClientPage) -> None:
    await client.freeze_time()
    client.server.hang = True
    await client.open()
    await client.server.attempted(1)
    await client.pass_time(9_999)
    assert await client.events() == []
    await client.pass_time(1)
    assert (await client.event("close"))["reason"] == "not in time"


async def test_it_comes_back_when_the_server_was_away(client: ClientPage) -> None:
    async with ScriptedServer().running() as first:
        port = first.port
        await client.open(f"ws://127.0.0.1:{port}/ws", **FAST)
        await first.connection()
        await client.event("open")
    await client.event("reconnecting", 3)
    async with ScriptedServer().running(port) as second:
        await second.connection()
        await client.event("open", 2)
        delays = [event["detail"]["delay"] for event in await client.events("reconnecting")]
        assert delays == sorted(delays)
