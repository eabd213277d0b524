"""What many clients bring in the same moment is begun in slices: counted in turns of the event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState
from uvicorn_servers import frame_of

from hubbub.uvicorn import HttpProtocol, SocketLimits, WebSocketProtocol
from hubbub.uvicorn.turns import Admission, PerTurn


class SmallProtocol(WebSocketProtocol):
    """With bounds that a test reaches."""

    limits = SocketLimits(
        handshakes_per_turn=3, waiting_handshakes=5, first_frames_per_turn=3, messages_per_turn=10
    )


class Crowd:
    """Clients of one app, whose bytes the tests hand to the server all in one turn.

    Args:
        app: the ASGI app.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        self.turn = 0
        self.clients: list[socket.socket] = []
        self.transports: list[asyncio.Transport] = []
        self.state = ServerState()
        self._config = Config(app, http=HttpProtocol, ws=SmallProtocol, log_config=None)

    async def come(self, count: int) -> None:
        """So many clients connect; none has sent anything yet."""
        for _ in range(count):
            here, there = socket.socketpair()
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: HttpProtocol(self._config, self.state, {}), sock=here
            )
            self.clients.append(there)
            self.transports.append(transport)

    def ask(self, number: int) -> None:
        """The request of one of them is here."""
        self.receive(
            number,
            f"GET /{number} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode(),
        )

    def receive(self, number: int, data: bytes) -> None:
        """These bytes of one of them are here."""
        self.protocol(number).data_received(data)

    def protocol(self, number: int) -> Any:
        """What serves one of them now."""
        return self.transports[number].get_protocol()

    def answer(self, number: int) -> bytes:
        """What the server has sent to one of them."""
        self.clients[number].setblocking(False)
        with suppress(BlockingIOError):
            return self.clients[number].recv(65_536)
        return b""

    async def pass_turns(self, count: int) -> None:
        """Let so many turns of the event loop pass, and count them."""
        for _ in range(count):
            self.turn += 1
            await asyncio.sleep(0)


@asynccontextmanager
async def crowd(app: Callable[..., Any], count: int) -> AsyncIterator[Crowd]:
    """A crowd that is gone at the end of the block."""
    one = Crowd(app)
    try:
        await one.come(count)
        yield one
    finally:
        for task in one.state.tasks:
            task.cancel()
        for transport in one.transports:
            transport.abort()
        for client in one.clients:
            client.close()
        await asyncio.sleep(0)


class Begun:
    """An app that accepts, notes who has come, and stays."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        await receive()
        await send({"type": "websocket.accept"})
        await receive()


async def test_a_turn_begins_so_many_handshakes_and_the_others_follow_in_their_order() -> None:
    app = Begun()
    async with crowd(app, 8) as clients:
        for number in range(8):
            clients.ask(number)
        begun = []
        for _ in range(6):
            await clients.pass_turns(1)
            begun.append(len(app.paths))
        steps = [after - before for before, after in zip([0, *begun], begun, strict=False)]
        assert max(steps) == 3, begun
        assert app.paths == [f"/{number}" for number in range(8)]
        assert all(clients.answer(number).startswith(b"HTTP/1.1 101 ") for number in range(8))


async def test_a_request_that_comes_while_others_wait_does_not_overtake_them() -> None:
    app = Begun()
    async with crowd(app, 8) as clients:
        for number in range(7):
            clients.ask(number)
        await clients.pass_turns(1)
        clients.ask(7)
        await clients.pass_turns(6)
        assert app.paths == [f"/{number}" for number in range(8)]


async def test_who_leaves_or_is_sent_away_while_waiting_reaches_no_app() -> None:
    app = Begun()
    async with crowd(app, 6) as clients:
        for number in range(6):
            clients.ask(number)
        clients.protocol(3).connection_lost(None)
        clients.protocol(4).shutdown()
        await clients.pass_turns(6)
        assert app.paths == ["/0", "/1", "/2", "/5"]
        assert clients.answer(4).startswith(b"HTTP/1.1 503 ")


async def test_one_more_than_may_wait_is_asked_to_come_again() -> None:
    app = Begun()
    async with crowd(app, 9) as clients:
        for number in range(9):
            clients.ask(number)
        assert b"\r\nretry-after: 1\r\n" in clients.answer(8)
        await clients.pass_turns(6)
        assert app.paths == [f"/{number}" for number in range(8)]


async def test_bytes_that_come_before_their_turn_are_kept_for_the_app() -> None:
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        heard.append((await receive())["text"])
        await receive()

    async with crowd(app, 5) as clients:
        for number in range(5):
            clients.ask(number)
        clients.receive(4, frame_of(0x81, b"early\r\n\r\n"))
        await clients.pass_turns(8)
        assert heard == ["early\r\n\r\n"]


async def test_a_handshake_that_fails_keeps_nobody_back() -> None:
    begun: list[int] = []

    class One:
        def __init__(self, number: int) -> None:
            self.number = number

        def begin(self) -> None:
            begun.append(self.number)
            if self.number == 0:
                raise RuntimeError("planted")

    loop = asyncio.get_running_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    admission = Admission(loop, 2, 10)
    for number in range(5):
        admission.wait(One(number).begin)
    for _ in range(8):
        await asyncio.sleep(0)
    assert begun == [0, 1, 2, 3, 4]
    assert [str(one["exception"]) for one in failures] == ["planted"]
    assert not len(admission)


async def test_a_turn_gives_so_many_and_the_next_one_again() -> None:
    places = PerTurn(asyncio.get_running_loop(), 2)
    assert [places.take() for _ in range(3)] == [True, True, False]
    await asyncio.sleep(0)
    assert [places.take() for _ in range(3)] == [True, True, False]


async def test_what_is_taken_in_one_turn_is_not_missing_in_the_next() -> None:
    places = PerTurn(asyncio.get_running_loop(), 2)
    for _ in range(3):
        assert places.take()
        await asyncio.sleep(0)
    assert [places.take() for _ in range(3)] == [True, True, False]


async def test_a_turn_takes_so_many_first_frames_and_the_others_follow_in_their_order() -> None:
    heard: list[tuple[str, str, int]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            heard.append((scope["path"], event["text"], clients.turn))

    async with crowd(app, 8) as clients:
        for number in range(8):
            clients.ask(number)
        await clients.pass_turns(6)
        for number in range(8):
            clients.receive(number, frame_of(0x81, b"first"))
        clients.receive(7, frame_of(0x81, b"second"))
        clients.protocol(6).connection_lost(None)
        for _ in range(6):
            await clients.pass_turns(1)
        per_turn = [sum(turn == one for _, _, turn in heard) for one in range(clients.turn + 1)]
        assert max(per_turn) <= 3, per_turn
        assert [path for path, text, _ in heard if text == "first"] == [
            f"/{one}" for one in (0, 1, 2, 3, 4, 5, 7)
        ]
        assert heard[-1][:2] == ("/7", "second"), "it is not read anew before the first"
        clients.receive(0, frame_of(0x81, b"later"))
        clients.receive(1, frame_of(0x88, b""))
        await clients.pass_turns(2)
        assert heard[-1][:2] == ("/0", "later")
        assert clients.answer(1).endswith(b"\x88\x00"), "its close is answered"


async def test_a_client_that_is_closed_while_its_first_frame_waits_ends_the_closing_handshake() -> None:
    app = Begun()
    async with crowd(app, 4) as clients:
        for number in range(4):
            clients.ask(number)
        await clients.pass_turns(4)
        for number in range(3):
            clients.receive(number, frame_of(0x81, b"first"))
        clients.receive(3, frame_of(0x88, b"\x03\xe8"))
        clients.protocol(3).close(1000)
        assert not clients.transports[3].is_closing()
        await clients.pass_turns(2)
        assert clients.transports[3].is_closing()


@pytest.mark.parametrize("flooders", [1, 3])
async def test_one_packet_of_many_messages_is_handled_over_many_turns(flooders: int) -> None:
    handled: list[tuple[str, str, int]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            handled.append((scope["path"], event["text"], clients.turn))

    async with crowd(app, flooders + 1) as clients:
        for number in range(flooders + 1):
            clients.ask(number)
        await clients.pass_turns(6)
        for number in range(flooders):
            clients.receive(number, b"".join(frame_of(0x81, b"%d" % one) for one in range(60)))
        await clients.pass_turns(1)
        calm = f"/{flooders}"
        clients.receive(flooders, frame_of(0x81, b"calm"))
        sent_in = clients.turn
        await clients.pass_turns(80)
        per_turn = [sum(turn == one for _, _, turn in handled) for one in range(clients.turn + 1)]
        # Ten together, one for each that comes anew, and one more for each that waited.
        assert max(per_turn) <= 10 + 2 * flooders + 1, per_turn
        assert [turn - sent_in for path, _, turn in handled if path == calm] <= [2]
        for number in range(flooders):
            texts = [text for path, text, _ in handled if path == f"/{number}"]
            assert texts == [str(one) for one in range(60)], "all come, in their order"
        # Nobody waits for the other's end: each has had some of its messages when the first is through.
        first_end = min(at for at, (_, text, _) in enumerate(handled) if text == "59")
        had = {path for path, _, _ in handled[:first_end]}
        assert len(had) == flooders + 1


async def test_a_receive_that_is_cancelled_between_two_turns_loses_nothing() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while len(seen) < 40:
            task = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            if not task.done():
                task.cancel()
            with suppress(asyncio.CancelledError):
                seen.append((await task)["text"])

    async with crowd(app, 1) as clients:
        clients.ask(0)
        await clients.pass_turns(2)
        clients.receive(0, b"".join(frame_of(0x81, b"%d" % one) for one in range(40)))
        await clients.pass_turns(400)
        assert seen == [str(one) for one in range(40)]


async def test_a_receive_that_is_cancelled_when_its_message_has_just_come_loses_nothing() -> None:
    seen: list[str] = []
    waiting: list[asyncio.Task[Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        waiting.append(asyncio.ensure_future(receive()))
        with suppress(asyncio.CancelledError):
            await waiting[0]
        while True:
            seen.append((await receive())["text"])

    async with crowd(app, 1) as clients:
        clients.ask(0)
        await clients.pass_turns(3)
        clients.receive(0, frame_of(0x81, b"first") + frame_of(0x81, b"second"))
        assert waiting[0].cancel()
        await clients.pass_turns(5)
        assert seen == ["first", "second"]
