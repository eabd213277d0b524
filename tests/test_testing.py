"""The in-memory client shows what the wire would show."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from polling import eventually, turns
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from hubbub import Disconnected
from hubbub.asgi.events import Receive, Scope, Send
from hubbub.testing import UNREAD, App, HandshakeRejected, connect, running


def app_of(handler: object) -> App:
    return Starlette(routes=[WebSocketRoute("/{rest:path}", handler)])  # type: ignore[arg-type]


async def echo(websocket: WebSocket) -> None:
    await websocket.accept("chat" if "chat" in websocket.scope["subprotocols"] else None, [(b"x-a", b"1")])
    while True:
        event = await websocket.receive()
        if event["type"] == "websocket.disconnect":
            return
        await websocket.send({**event, "type": "websocket.send"})


async def test_text_binary_and_json_travel_both_ways() -> None:
    async with connect(app_of(echo)) as client:
        for message in ("héllo", b"\x00\xff"):
            await client.send(message)
            assert await client.receive() == message
        await client.send({"a": [1]})
        assert await client.receive_json() == {"a": [1]}


async def test_the_scope_is_that_of_a_server() -> None:
    async def tell(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(
            [
                websocket.url.path,
                websocket.query_params["x"],
                websocket.headers["origin"],
                websocket.url.netloc,
            ]
        )
        await websocket.close()

    async with connect(
        app_of(tell), "ws://example.com:81/a%20b?x=1", headers={"Origin": "http://o"}
    ) as client:
        assert await client.receive_json() == ["/a b", "1", "http://o", "example.com:81"]
    assert (client.scope["path"], client.scope["raw_path"]) == ("/a b", b"/a%20b")


async def test_the_answer_to_the_handshake_can_be_read() -> None:
    async with connect(app_of(echo), subprotocols=["soap", "chat"]) as client:
        assert (client.subprotocol, client.headers) == ("chat", {"x-a": "1"})


async def test_a_close_before_the_handshake_is_done_is_an_http_403() -> None:
    async def refuse(websocket: WebSocket) -> None:
        await websocket.close(1008)

    with pytest.raises(HandshakeRejected) as caught:
        async with connect(app_of(refuse)):
            pass
    assert caught.value.status == 403


async def test_a_denial_response_comes_through_whole() -> None:
    async def deny(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("full", 503, {"retry-after": "5"}))

    with pytest.raises(HandshakeRejected) as caught:
        async with connect(app_of(deny)):
            pass
    assert (caught.value.status, caught.value.body) == (503, b"full")
    assert caught.value.headers["retry-after"] == "5"


async def test_an_app_that_returns_or_raises_without_an_answer_is_an_http_500() -> None:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        return

    async def boom(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("boom")

    with pytest.raises(HandshakeRejected, match="500"):
        async with connect(nothing):
            pass
    with pytest.raises(HandshakeRejected, match="500"):
        async with connect(boom, raise_app_exceptions=False):
            pass
    with pytest.raises(KeyError, match="boom"):
        async with connect(boom):
            pass


async def test_what_was_sent_before_the_close_arrives_before_it() -> None:
    async def goodbye(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("bye")
        await websocket.close(4000, "done")

    async with connect(app_of(goodbye)) as client:
        assert await client.receive() == "bye"
        for _ in range(2):
            with pytest.raises(Disconnected) as caught:
                await client.receive()
            assert (caught.value.code, caught.value.reason) == (4000, "done")
        with pytest.raises(Disconnected):
            await client.send("too late")


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"type": "websocket.send", "text": "after"}, RuntimeError),
        ({"type": "websocket.close"}, RuntimeError),
    ],
)
async def test_nothing_can_be_sent_after_a_close(event: dict[str, object], error: type[Exception]) -> None:
    async def chatty(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        await send(event)

    with pytest.raises(error, match=r"after websocket\.close"):
        async with connect(chatty) as client:
            assert (await client.wait_closed()).code == 1000


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"type": "websocket.close", "code": 1006}, ValueError),
        ({"type": "websocket.close", "code": 1000, "reason": "x" * 124}, ValueError),
        ({"type": "websocket.send", "text": "\ud800"}, UnicodeEncodeError),
        ({"type": "websocket.send", "text": b"bytes"}, RuntimeError),
        ({"type": "websocket.accept"}, RuntimeError),
    ],
)
async def test_what_cannot_go_on_a_wire_fails(event: dict[str, object], error: type[Exception]) -> None:
    async def wrong(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send(event)

    with pytest.raises(error):
        async with connect(wrong) as client:
            assert (await client.wait_closed()).code == 1006


async def test_the_app_is_told_the_code_and_reason_of_the_clients_close() -> None:
    told: list[WebSocketDisconnect] = []

    async def note(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as gone:
            told.append(gone)

    async with connect(app_of(note)) as client:
        await client.close(1001, "away")
        await client.close(1000)
    async with connect(app_of(note)) as client:
        client.drop()
    assert [(gone.code, gone.reason) for gone in told] == [(1001, "away"), (1006, "")]


async def test_an_app_that_ends_without_a_close_leaves_1006() -> None:
    async def leave(websocket: WebSocket) -> None:
        await websocket.accept()

    async with connect(app_of(leave)) as client:
        assert (await client.wait_closed()).code == 1006


async def test_a_client_that_does_not_read_makes_send_wait() -> None:
    sent: list[int] = []

    async def count(websocket: WebSocket) -> None:
        await websocket.accept()
        for number in range(3):
            await websocket.receive_text()
            await websocket.send_text(str(number))
            sent.append(number)

    async with connect(app_of(count)) as client:
        await client.send("go")
        assert await client.receive() == "0"
        client.pause()
        await client.send("go")
        with pytest.raises(TimeoutError):
            await client.receive(timeout=0.01)
        assert sent == [0]
        client.resume()
        assert await client.receive() == "1"
        client.pause()
        await client.send("go")
        client.resume()
        assert await client.receive() == "2"
    assert sent == [0, 1, 2]


async def test_a_lost_client_ends_a_send_that_waits() -> None:
    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        await receive()
        await send({"type": "websocket.send", "text": "x"})

    async with connect(stuck, raise_app_exceptions=False) as client:
        client.pause()
        await client.send("go")
        await turns()
        client.drop()
        await eventually(lambda: isinstance(client.error, ConnectionResetError))


async def test_a_client_that_never_receives_is_full_in_the_end() -> None:
    sent = 0

    async def flood(websocket: WebSocket) -> None:
        nonlocal sent
        await websocket.accept()
        for _ in range(UNREAD + 1):
            await websocket.send_text("x")
            sent += 1

    async with connect(app_of(flood)) as client:
        await eventually(lambda: sent == UNREAD)
        await turns()
        assert sent == UNREAD
        await client.receive()
        await eventually(lambda: sent == UNREAD + 1)


async def test_an_app_that_goes_on_without_its_client_is_an_error() -> None:
    async def forever(websocket: WebSocket) -> None:
        await websocket.accept()
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match="has not ended"):
        async with connect(app_of(forever), timeout=0.05):
            pass


async def test_the_lifespan_runs_around_the_block_and_gives_its_state() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, int]]:
        steps.append("up")
        yield {"answer": 42}
        steps.append("down")

    async def tell(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(websocket.state.answer)
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/", tell)], lifespan=lifespan)
    async with running(app) as state:
        assert steps == ["up"]
        async with connect(app, state=state) as client:
            assert await client.receive_json() == 42
    assert steps == ["up", "down"]


async def test_an_app_that_cannot_start_says_so() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    with pytest.raises(RuntimeError, match="no database"):
        async with running(Starlette(lifespan=lifespan)):
            pass
