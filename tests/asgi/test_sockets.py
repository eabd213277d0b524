"""Taking over a WebSocket: the origin, the handshake, the opt-in, and the WebSocket's own methods."""

import logging
from collections.abc import AsyncIterator

import pytest
from guests import guest, route
from starlette.websockets import WebSocket, WebSocketDisconnect

from hubbub import Hub
from hubbub.core.origins import MOST_TOLD
from hubbub.testing import HandshakeRejected, connect


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub(origins=["https://friend.example"]) as hub:
        yield hub


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://friend.example.evil.example"])
async def test_a_page_of_another_origin_gets_a_403(hub: Hub, origin: str) -> None:
    with pytest.raises(HandshakeRejected) as caught:
        async with guest(hub, headers={"Origin": origin}):
            pass
    assert caught.value.status == 403
    assert hub.stats.opened == 0


async def test_the_log_says_why_a_page_was_refused_and_once_for_each_origin_aloud(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hubbub")
    for number in (5173, 5173, *range(MOST_TOLD)):
        with pytest.raises(HandshakeRejected):
            async with guest(hub, headers={"Origin": f"http://localhost:{number}"}):
                pass
    told = [(one.levelname, one.getMessage()) for one in caplog.records if "refused a page" in one.message]
    assert [level for level, _ in told] == [*["WARNING", "INFO"], *["WARNING"] * (MOST_TOLD - 1), "INFO"]
    assert "'http://localhost:5173', as the host is 'testserver'; Hub(origins=[...])" in told[0][1]


@pytest.mark.parametrize("origin", ["http://testserver", "https://friend.example"])
async def test_a_page_of_an_allowed_origin_connects(hub: Hub, origin: str) -> None:
    async with guest(hub, headers={"Origin": origin}):
        assert hub.connection_count == 1


async def test_a_websocket_that_was_accepted_already_is_taken_as_it_is(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept("chat")
        async with hub.connection(websocket, subprotocol="ignored") as me:
            await me.send("hello")

    async with connect(route(handler), subprotocols=["chat"]) as client:
        assert client.subprotocol == "chat"
        assert await client.receive() == "hello"


@pytest.mark.parametrize(
    ("offered", "chosen", "selected"),
    [
        (["bearer", "secret"], None, "bearer"),
        (["chat"], None, None),
        (["chat", "bearer"], "chat", "chat"),
        ([], None, None),
    ],
)
async def test_the_answer_names_a_subprotocol_and_never_the_token(
    hub: Hub, offered: list[str], chosen: str | None, selected: str | None
) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket, subprotocol=chosen, headers=[(b"x-hub", b"1")]):
            pass

    async with connect(route(handler), subprotocols=offered) as client:
        assert client.subprotocol == selected
        assert client.headers == {"x-hub": "1"}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("heartbeat=1", True),
        ("a=b&heartbeat=1&c", True),
        ("heartbeat=0", False),
        ("heartbeat=10", False),
        ("xheartbeat=1", False),
        ("", False),
    ],
)
async def test_a_client_opts_in_to_the_heartbeat_by_the_query(hub: Hub, query: str, wanted: bool) -> None:
    async with guest(hub, f"/?{query}") as ada:
        assert ada.me.heartbeat is wanted


async def test_the_websockets_own_close_closes_the_connection(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        me = await hub.connect(websocket)
        await websocket.close(4001, "own")
        assert me.closed is not None
        assert (me.closed.code, hub.connection_count) == (4001, 0)

    async with connect(route(handler)) as client:
        end = await client.wait_closed()
        assert (end.code, end.reason) == (4001, "own")


async def test_the_websockets_own_iterator_ends_with_the_client(hub: Hub) -> None:
    got: list[str] = []

    async def handler(websocket: WebSocket) -> None:
        await hub.connect(websocket)
        got.extend([text async for text in websocket.iter_text()])

    async with connect(route(handler)) as client:
        await client.send("a")
        await client.send("b")
    assert got == ["a", "b"]


@pytest.mark.parametrize(("way", "sent"), [("receive_text", b"a"), ("receive_bytes", "a")])
async def test_the_wrong_kind_of_message_closes_with_1003_in_the_tutorials_style(
    hub: Hub, way: str, sent: str | bytes
) -> None:
    async def handler(websocket: WebSocket) -> None:
        await hub.connect(websocket)
        try:
            await getattr(websocket, way)()
        except WebSocketDisconnect:
            hub.disconnect(websocket)  # and returns at once, upon which servers drop the socket

    async with connect(route(handler)) as client:
        await client.send(sent)
        assert (await client.wait_closed()).code == 1003
    assert hub.connection_count == 0
