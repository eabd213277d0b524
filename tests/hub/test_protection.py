"""A hub with rates and caps, and one without."""

from contextlib import AsyncExitStack
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from guests import guest, route
from polling import eventually

from hubbub import Disconnected, Hub, Protection, Rate, User
from hubbub.auth import Tokens
from hubbub.core.stats import RefusalReason
from hubbub.fastapi import Auth
from hubbub.testing import App, HandshakeRejected, connect

ERROR = '{"type":"error","msg":"Too many messages"}'
SECRET = "a secret of the tests, long enough for a token"


def echo(hub: Hub, user: User | None = None) -> App:
    """An app that answers each message with itself."""

    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket, user=user) as me:
            async for text in me.iter_text():
                await me.send(text)

    return route(handler)


async def test_messages_over_the_rate_are_answered_with_an_error_and_then_the_client_is_closed() -> None:
    slow = Rate(0.001, 2)
    async with Hub(protection=Protection(messages=slow, strikes=2)) as hub, connect(echo(hub)) as client:
        for number in range(2):
            await client.send(f"{number}")
            assert await client.receive() == f"{number}"
        for _ in range(2):
            await client.send("one too many")
            assert await client.receive() == ERROR
        await client.send("the last")
        assert await client.receive() == ERROR
        with pytest.raises(Disconnected) as end:
            await client.receive()
        assert (end.value.code, end.value.reason) == (1008, "too many messages")
        assert hub.stats.refused == {RefusalReason.RATE: 3}


async def test_a_client_that_keeps_its_rate_is_not_touched_by_one_that_does_not() -> None:
    async with (
        Hub(protection=Protection(messages=Rate(0.001, 3))) as hub,
        connect(echo(hub)) as flood,
        connect(echo(hub)) as calm,
    ):
        for _ in range(20):
            try:
                await flood.send("x")
            except Disconnected:
                break
        await eventually(lambda: hub.connection_count == 1)
        for number in range(3):
            await calm.send(f"{number}")
            assert await calm.receive() == f"{number}"


async def test_what_was_refused_does_not_reach_the_handler() -> None:
    got: list[str] = []
    async with Hub(protection=Protection(messages=Rate(0.001, 1), strikes=5)) as hub:

        async def handler(websocket: WebSocket) -> None:
            async with hub.connection(websocket) as me:
                got.extend([text async for text in me.iter_text()])

        async with connect(route(handler)) as client:
            for text in ("a", "b", "c"):
                await client.send(text)
            assert [await client.receive() for _ in range(2)] == [ERROR, ERROR]
    assert got == ["a"]


async def test_the_connections_of_a_user_share_a_rate() -> None:
    protection = Protection(messages=None, user_messages=Rate(0.001, 2))
    async with Hub(protection=protection) as hub:
        app = echo(hub, User("ada"))
        async with connect(app) as first, connect(app) as second, connect(echo(hub, User("bob"))) as other:
            for client in (first, second):
                await client.send("x")
                assert await client.receive() == "x"
            await second.send("x")
            assert await second.receive() == ERROR
            await other.send("x")
            assert await other.receive() == "x"


async def test_a_handshake_for_which_there_is_no_place_is_answered_with_503() -> None:
    async with Hub(protection=Protection(connections=2)) as hub, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(connect(echo(hub)))
        with pytest.raises(HandshakeRejected) as refused:
            async with connect(echo(hub)):
                pass
        assert refused.value.status == 503
        assert refused.value.headers["retry-after"] == "1"
        assert refused.value.body == b"Too many connections"
        assert hub.stats.refused == {RefusalReason.CAPACITY: 1}
        await stack.aclose()
        async with connect(echo(hub)):
            pass


async def test_a_server_that_knows_no_denial_responses_answers_403() -> None:
    async with Hub(protection=Protection(connections=1)) as hub, connect(echo(hub)):
        app = echo(hub)

        async def without_extensions(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "extensions": {}}, receive, send)

        with pytest.raises(HandshakeRejected) as refused:
            async with connect(without_extensions):
                pass
        assert refused.value.status == 403


async def test_a_place_is_free_again_however_the_client_went() -> None:
    async with Hub(protection=Protection(connections=1)) as hub:

        async def fails(websocket: WebSocket) -> None:
            async with hub.connection(websocket):
                raise RuntimeError

        async def lingers(websocket: WebSocket) -> None:
            await hub.connect(websocket)

        for handler in (fails, lingers, fails):
            async with connect(route(handler), raise_app_exceptions=False):
                pass
            await eventually(lambda: hub.connection_count == 0)
        with pytest.raises(HandshakeRejected):
            async with connect(echo(hub), headers={"origin": "https://evil.example.com"}):
                pass
        async with connect(echo(hub)):
            pass


async def test_a_user_with_too_many_connections_is_refused_and_others_are_not() -> None:
    async with Hub(protection=Protection(connections_per_user=1)) as hub, connect(echo(hub, User("ada"))):
        with pytest.raises(HandshakeRejected) as refused:
            async with connect(echo(hub, User("ada"))):
                pass
        assert (refused.value.status, refused.value.body) == (503, b"Too many connections of this user")
        assert hub.stats.refused == {RefusalReason.LIMIT: 1}
        async with connect(echo(hub, User("bob"))), connect(echo(hub)):
            pass


async def test_who_was_accepted_before_is_told_and_closed() -> None:
    async with Hub(protection=Protection(connections=1)) as hub, connect(echo(hub)):

        async def accepts(websocket: WebSocket) -> None:
            await websocket.accept()
            async with hub.connection(websocket):
                pass

        async with connect(route(accepts)) as client:
            assert await client.receive() == '{"type":"error","msg":"Too many connections"}'
            with pytest.raises(Disconnected) as end:
                await client.receive()
            assert end.value.code == 1013


async def test_so_many_may_wait_with_their_first_message() -> None:
    async with Hub(protection=Protection(unauthenticated=1)) as hub:
        app = FastAPI()
        auth = Auth(hub, Tokens(SECRET))

        @app.websocket("/ws")
        async def ws(websocket: WebSocket, user: Annotated[User, Depends(auth)]) -> None:
            async with hub.connection(websocket) as me:
                await me.wait_closed()

        async with connect(app, "/ws") as first:
            with pytest.raises(HandshakeRejected) as refused:
                async with connect(app, "/ws"):
                    pass
            assert refused.value.status == 503
            token = Tokens(SECRET).issue("ada")
            async with connect(app, f"/ws?token={token}"):
                pass
            await first.send(f'{{"token":"{token}"}}')
            await eventually(lambda: hub.connection_count == 1)
            async with connect(app, "/ws"):
                pass


async def test_a_connection_that_comes_into_no_room_is_closed_and_one_that_does_is_not() -> None:
    async with (
        Hub(protection=Protection(idle_timeout=0.2)) as hub,
        guest(hub, rooms=("r",)) as member,
        guest(hub) as idle,
    ):
        member.me.leave("r")
        with pytest.raises(Disconnected) as end:
            await idle.client.receive()
        assert (end.value.code, end.value.reason) == (1008, "in no room")
        assert not member.me.closed, "it came before, and was in one"


async def test_a_bare_hub_limits_nothing() -> None:
    async with Hub() as hub, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(echo(hub, User("ada")))) for _ in range(25)]
        for number in range(200):
            await clients[0].send(f"{number}")
        assert [await clients[0].receive() for _ in range(200)] == [f"{number}" for number in range(200)]
        assert hub.stats.refused == {}
