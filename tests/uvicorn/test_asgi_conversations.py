"""The same app and the same client on uvicorn's own protocol and on ours: the app must see the same events.

Each conversation is an app and a client. What the app received, what its sends raised and what the client saw
is written down and compared. The words of close reasons that the server makes up are not compared.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from uvicorn_servers import running
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

STOCK = "websockets-sansio"
OURS = "hubbub.uvicorn:WebSocketProtocol"

Log = list[Any]
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Recorder:
    """Wraps an app and notes its events."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.log: Log = []
        self.done = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def noted_receive() -> Any:
            event = await receive()
            self.log.append(event)
            return event

        async def noted_send(message: Any) -> None:
            try:
                await send(message)
            except Exception as error:
                self.log.append(
                    (message["type"], "OSError" if isinstance(error, OSError) else type(error).__name__)
                )
                raise

        try:
            await self.app(scope, noted_receive, noted_send)
        finally:
            self.loop.call_soon_threadsafe(self.done.set)


async def accept(scope: dict[str, Any], receive: Any, send: Any, **more: Any) -> None:
    await receive()
    await send({"type": "websocket.accept", **more})


async def note_scope(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Send the scope to the client."""
    await accept(scope, receive, send)
    known = {
        key: value for key, value in scope.items() if key not in ("client", "server", "extensions", "headers")
    }
    known["headers"] = [one for one in scope["headers"] if one[0] not in (b"sec-websocket-key", b"host")]
    known["extensions"] = "websocket.http.response" in scope["extensions"]
    known["types"] = [
        type(scope["client"]).__name__,
        type(scope["server"]).__name__,
        type(scope["client"][1]).__name__,
    ]
    await send({"type": "websocket.send", "text": repr(sorted(known.items()))})
    await receive()


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await accept(scope, receive, send)
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def choose_subprotocol(scope: dict[str, Any], receive: Any, send: Any) -> None:
    headers = [(b"X-One", b"1"), (b"x-two", b"zw\xf6lf"), (b"x-one", b"2")]
    await accept(scope, receive, send, subprotocol=scope["subprotocols"][1], headers=headers)
    await send({"type": "websocket.send", "text": repr(scope["subprotocols"])})
    await receive()


async def refuse(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008, "reason": "no"})
    await receive()


async def deny(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    headers = [(b"x-why", b"because"), (b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b'{"who":', "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b'"you"}'})
    await receive()


async def deny_with_bad_status(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.http.response.start", "status": 700, "headers": []})


async def say_and_close(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await accept(scope, receive, send)
    await send({"type": "websocket.send", "text": "bye"})
    await send({"type": "websocket.close", "code": 3001, "reason": "because"})
    await receive()


async def send_after_close(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await accept(scope, receive, send)
    await send({"type": "websocket.close"})
    await send({"type": "websocket.send", "text": "late"})


async def send_after_disconnect(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await accept(scope, receive, send)
    while (await receive())["type"] != "websocket.disconnect":
        pass
    await send({"type": "websocket.send", "text": "late"})


async def close_after_disconnect(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await accept(scope, receive, send)
    while (await receive())["type"] != "websocket.disconnect":
        pass
    await send({"type": "websocket.close", "code": 1000})


async def send_before_accept(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.send", "text": "early"})


async def accept_twice(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await accept(scope, receive, send)
    await send({"type": "websocket.accept"})


async def return_at_once(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()


async def crash_before_accept(scope: dict[str, Any], receive: Any, send: Any) -> None:
    raise LookupError("planted")


async def watch(client: ClientConnection) -> Log:
    """Note messages until the end."""
    seen: Log = []
    try:
        async for message in client:
            seen.append(message)
    except ConnectionClosed:
        pass
    seen.append((client.close_code, client.close_reason))
    return seen


async def talk(client: ClientConnection) -> Log:
    seen: Log = [await client.recv()]
    await client.close(1001, "going")
    return seen


async def exchange_messages(client: ClientConnection) -> Log:
    messages = ["", "text", "ünï", b"", b"\x00\xff", "x" * 200_000, b"y" * 70_000]
    seen: Log = []
    for message in messages:
        await client.send(message)
        seen.append(await client.recv())
    await client.send(["in ", "frag", "ments"])
    seen.append(await client.recv())
    await client.send([b"in ", b"fragments"])
    seen.append(await client.recv())
    await (await client.ping())
    await client.close()
    return seen


async def leave_without_code(client: ClientConnection) -> Log:
    await client.close(1000, "")
    return [client.close_code]


async def leave_with_reason(client: ClientConnection) -> Log:
    await client.close(4321, "had enough")
    return [client.close_code, client.close_reason]


async def vanish(client: ClientConnection) -> Log:
    client.transport.abort()
    return []


async def bad_text(client: ClientConnection) -> Log:
    client.transport.write(b"\x81\x81\x00\x00\x00\x00\xff")
    return [(await watch(client))[-1][0]]


async def bad_opcode(client: ClientConnection) -> Log:
    client.transport.write(b"\x83\x80\x00\x00\x00\x00")
    return [(await watch(client))[-1][0]]


async def too_large(client: ClientConnection) -> Log:
    client.transport.write(b"\x82\xff" + (1 << 40).to_bytes(8, "big"))
    return [(await watch(client))[-1][0]]


CONVERSATIONS: dict[str, tuple[App, Callable[[ClientConnection], Awaitable[Log]]]] = {
    "the scope": (note_scope, talk),
    "messages of all kinds": (echo, exchange_messages),
    "subprotocol and headers": (choose_subprotocol, talk),
    "the app closes": (say_and_close, watch),
    "the app sends after its close": (send_after_close, watch),
    "the app accepts twice": (accept_twice, vanish),
    "the client leaves": (echo, leave_without_code),
    "the client leaves with a reason": (echo, leave_with_reason),
    "the client vanishes": (echo, vanish),
    "the app sends after the client left": (send_after_disconnect, leave_with_reason),
    "the app sends after the client vanished": (send_after_disconnect, vanish),
    "the app closes after the client left": (close_after_disconnect, leave_with_reason),
    "text that is not UTF-8": (echo, bad_text),
    "an unknown opcode": (echo, bad_opcode),
    "a message that is too large": (echo, too_large),
}

REFUSALS: dict[str, App] = {
    "close before accept": refuse,
    "a denial response": deny,
    "a denial response with a wrong status": deny_with_bad_status,
    "send before accept": send_before_accept,
    "return without accept": return_at_once,
    "crash before accept": crash_before_accept,
}


class Stage:
    """Three servers for all conversations: each connection's query string says whose app it is for."""

    def __init__(self, start: Callable[..., Any]) -> None:
        options: Any = {"root_path": "/root", "headers": [("x-server", "here")]}
        self.recorders: dict[bytes, Recorder] = {}
        self.servers = {
            "stock": start(self.play, ws=STOCK, loop="asyncio", **options),
            "asyncio": start(self.play, ws=OURS, loop="asyncio", **options),
            "uvloop": start(self.play, ws=OURS, loop="uvloop", **options),
        }

    async def play(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await self.recorders[scope["query_string"]](scope, receive, send)

    def prepare(self, server: str, number: int, app: App) -> tuple[str, Recorder]:
        """Return where to connect for `app`."""
        recorder = Recorder(app)
        self.recorders[b"q=%d&token=t%%20x" % number] = recorder
        return f"{self.servers[server].url}/a%20path/%C3%A9?q={number}&token=t%20x", recorder


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(lambda app, **options: stack.enter_context(running(app, **options)))


async def converse(stage: Stage, server: str, name: str) -> tuple[Log, Log]:
    app, client = CONVERSATIONS[name]
    url, recorder = stage.prepare(server, list(CONVERSATIONS).index(name), app)
    subprotocols: Any = ["one", "two"]
    headers = {"X-Odd": "ä".encode().decode("latin-1")}
    async with connect(
        url, subprotocols=subprotocols, additional_headers=headers, compression=None, max_size=None
    ) as connection:
        assert connection.response is not None
        fixed = {"date", "sec-websocket-accept"}
        raw = connection.response.headers.raw_items()
        answer = sorted((key.lower(), value) for key, value in raw if key.lower() not in fixed)
        seen = await asyncio.wait_for(client(connection), 20)
    await asyncio.wait_for(recorder.done.wait(), 20)
    return [_without_made_up_reason(event) for event in recorder.log], [answer, *seen]


def _without_made_up_reason(event: Any) -> Any:
    if isinstance(event, dict) and event.get("code") in (1002, 1007, 1009):
        return {**event, "reason": "..."}
    return event


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_a_conversation_gives_the_events_of_uvicorns_own_protocol(
    stage: Stage, name: str, loop: str
) -> None:
    events, seen = await converse(stage, loop, name)
    expected_events, expected_seen = await converse(stage, "stock", name)
    assert events[0] == {"type": "websocket.connect"}
    assert events == expected_events
    assert seen == expected_seen


async def refusal(stage: Stage, server: str, name: str) -> tuple[Log, int, list[tuple[str, str]], bytes]:
    url, recorder = stage.prepare(server, 100 + list(REFUSALS).index(name), REFUSALS[name])
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, compression=None)
    await asyncio.wait_for(recorder.done.wait(), 20)
    response = caught.value.response
    told = {"x-why", "content-type", "content-length", "connection"}
    headers = sorted(
        (key.lower(), value) for key, value in response.headers.raw_items() if key.lower() in told
    )
    return recorder.log, response.status_code, headers, bytes(response.body or b"")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_gives_the_answer_of_uvicorns_own_protocol(
    stage: Stage, name: str, loop: str
) -> None:
    ours = await refusal(stage, loop, name)
    assert ours == await refusal(stage, "stock", name)
