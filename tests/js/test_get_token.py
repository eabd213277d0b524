"""getToken is asked before every attempt, and 4401 asks it again at once."""

import pytest
from client_page import ClientPage

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBERED = "{ getToken: async () => `token ${++asked}`, minDelay: 20, jitter: 0 }"


async def test_every_attempt_carries_a_new_token(client: ClientPage) -> None:
    await client.js(f"(window.asked = 0, connect('/ws?room=a', [], {NUMBERED}), null)")
    await (await client.server.connection()).close(1012)
    await client.server.connection()
    assert client.server.query(0) == {"room": ["a"], "token": ["token 1"]}
    assert client.server.query(1) == {"room": ["a"], "token": ["token 2"]}


async def test_the_token_never_shows_in_the_url_property(client: ClientPage) -> None:
    await client.js("(connect('/ws?a=1', [], { getToken: () => 'secret', heartbeat: true }), null)")
    await client.server.connection()
    assert await client.js("socket.url") == client.server.url.replace("http", "ws") + "/ws?a=1"


async def test_the_parameter_has_the_name_asked_for(client: ClientPage) -> None:
    await client.js("(connect('/ws', [], { getToken: () => 'a&b=c d', tokenParam: 'ticket' }), null)")
    await client.server.connection()
    assert client.server.query(0) == {"ticket": ["a&b=c d"]}


@pytest.mark.parametrize("nothing", ["null", "undefined", "''"])
async def test_without_a_token_none_is_sent(client: ClientPage, nothing: str) -> None:
    await client.js(f"(connect('/ws', [], {{ getToken: async () => {nothing} }}), null)")
    await client.server.connection()
    assert client.server.attempts == ["/ws"]


async def test_an_expired_token_is_renewed_at_once(client: ClientPage) -> None:
    await client.js("(connect('/ws', [], { getToken: async () => Math.random(), minDelay: 60000 }), null)")
    await (await client.server.connection()).close(4401)
    await client.server.connection()
    await client.event("open", 2)
    assert (await client.event("reconnecting"))["detail"]["delay"] == 0
    assert client.server.query(0) != client.server.query(1)


async def test_a_new_token_that_is_refused_too_has_to_wait(client: ClientPage) -> None:
    await client.freeze_time()
    await client.open(jitter=0)
    delays = []
    for number in (1, 2, 3):
        server = await client.server.connection()
        await server.send('{"type":"error","msg":"Unauthorized"}')
        await server.close(4401)
        delays.append((await client.event("reconnecting", number))["detail"]["delay"])
        await client.pass_time(delays[-1] or 1)
    assert delays[0] == 0
    assert min(delays[1:]) >= 1000


async def test_after_a_connection_that_lasted_4401_is_answered_at_once_again(client: ClientPage) -> None:
    await client.freeze_time()
    await client.open()
    for number in (1, 2):
        server = await client.server.connection()
        await client.event("open", number)
        await client.pass_time(1000)
        await server.close(4401)
        assert (await client.event("reconnecting", number))["detail"]["delay"] == 0
        await client.pass_time(1)


@pytest.mark.parametrize("failure", ["throw cause", "return Promise.reject(cause)"])
async def test_a_failing_get_token_is_a_failed_attempt(client: ClientPage, failure: str) -> None:
    await client.page.evaluate(
        """(failure) => {
            let asked = 0;
            const fail = new Function("cause", failure);
            const getToken = () => (++asked < 3 ? fail(new Error("no network")) : "third");
            connect("/ws", [], { getToken, minDelay: 20, jitter: 0 });
            socket.onerror = (event) => (window.cause = event.error);
        }""",
        failure,
    )
    await client.server.connection()
    await client.event("open")
    types = [event["type"] for event in await client.events()]
    assert types == ["error", "close", "reconnecting"] * 2 + ["open"]
    assert (await client.event("close"))["code"] == 1006
    assert [event["detail"]["delay"] for event in await client.events("reconnecting")] == [20, 40]
    assert await client.js("cause.message") == "no network"
    assert client.server.query(0) == {"token": ["third"]}


async def test_a_get_token_that_never_answers_is_given_up(client: ClientPage) -> None:
    await client.freeze_time()
    await client.js("""() => {
        let asked = 0;
        window.late = [];
        const getToken = () => (++asked < 2 ? new Promise((done) => late.push(done)) : "second");
        connect("/ws", [], { getToken, minDelay: 20, connectTimeout: 100 });
    }""")
    await client.pass_time(100)
    assert (await client.event("close"))["reason"] == "not in time"
    await client.js("late[0]('too late')")
    await client.pass_time((await client.event("reconnecting"))["detail"]["delay"])
    await client.event("open")
    assert client.server.attempts == ["/ws?token=second"]


async def test_close_while_the_token_is_fetched_makes_no_connection(client: ClientPage) -> None:
    await client.js("""() => {
        const token = new Promise((done) => (window.fetched = done));
        connect("/ws", [], { getToken: () => token });
        socket.close();
    }""")
    close = await client.event("close")
    assert (close["code"], close["readyState"]) == (1006, 3)
    await client.js("fetched('late')")
    await client.settle()
    assert client.server.attempts == []
