"""ReconnectingWebSocket has the interface of the browser's WebSocket: most tests put the two side by side."""

from typing import Any

import pytest
from client_page import ClientPage
from scripted_server import receive

pytestmark = pytest.mark.asyncio(loop_scope="session")

OUTCOME = """
([script, native]) => {
  const Socket = native ? WebSocket : ReconnectingWebSocket;
  const make = (...args) => new Socket(...args);
  const describe = (error) => `${error.constructor.name} ${error.name}`;
  try { return { value: new Function("make", "Socket", `return ${script}`)(make, Socket) }; }
  catch (error) { return { thrown: describe(error) }; }
}
"""

REFUSED_BY_THE_BROWSER = [
    "make('ftp://localhost/')",
    "make('ws://localhost/#fragment')",
    "make('ws://localhost/#')",
    "make('ws://[bad')",
    "make('/ws', ['a', 'a'])",
    "make('/ws', 'not a token')",
    "make('/ws', [''])",
    "make()",
    "make('/ws').close(999)",
    "make('/ws').close(1001)",
    "make('/ws').close(2999)",
    "make('/ws').close(5000)",
    "make('/ws').close(NaN)",
    "make('/ws').close(1000, 'x'.repeat(124))",
    "make('/ws').close(1000, '\\u00e9'.repeat(62))",
    "make('/ws').send()",
    "Socket('/ws')",
]

SAME_IN_BOTH = [
    "[Socket.CONNECTING, Socket.OPEN, Socket.CLOSING, Socket.CLOSED]",
    "((s) => [s.CONNECTING, s.OPEN, s.CLOSING, s.CLOSED])(make('/ws'))",
    "JSON.stringify(Object.getOwnPropertyDescriptor(Socket, 'OPEN'))",
    "JSON.stringify(Object.getOwnPropertyDescriptor(Socket.prototype, 'OPEN'))",
    "make('/ws').url",
    "make(new URL('/ws?a=%20b', location.href)).url",
    "make(location.href + 'ws').url",
    "((s) => [s.readyState, s.protocol, s.extensions, s.bufferedAmount, s.binaryType])(make('/ws'))",
    "((s) => { s.binaryType = 'arraybuffer'; s.binaryType = 'nonsense'; return s.binaryType })(make('/ws'))",
    "((s) => { s.onopen = 'nonsense'; return [s.onopen, s.onmessage, s.onclose, s.onerror] })(make('/ws'))",
    "((s) => { s.close(); s.close(); return s.readyState })(make('/ws'))",
    "((s) => { s.close(1000, 'x'.repeat(123)); return s.readyState })(make('/ws'))",
    "((s) => { s.close('3001'); return s.readyState })(make('/ws'))",
    "((s) => { s.close(); s.send('four'); return s.bufferedAmount })(make('/ws'))",
    "make('/ws') instanceof EventTarget",
    "Object.keys(make('/ws'))",
    "Object.keys(WebSocket.prototype).filter((name) => !(name in Socket.prototype))",
]


async def outcome(client: ClientPage, script: str, *, native: bool) -> dict[str, Any]:
    result: dict[str, Any] = await client.page.evaluate(OUTCOME, [script, native])
    return result


async def test_it_refuses_what_the_browser_refuses_with_the_same_exceptions(client: ClientPage) -> None:
    for script in REFUSED_BY_THE_BROWSER:
        expected = await outcome(client, script, native=True)
        assert "thrown" in expected, script
        assert await outcome(client, script, native=False) == expected, script


async def test_its_properties_and_methods_answer_as_the_browsers_do(client: ClientPage) -> None:
    for script in SAME_IN_BOTH:
        expected = await outcome(client, script, native=True)
        assert "value" in expected, script
        assert await outcome(client, script, native=False) == expected, script


async def test_text_and_binary_go_both_ways_and_arrive_in_the_type_asked_for(client: ClientPage) -> None:
    await client.open()
    server = await client.server.connection()
    await client.event("open")
    await client.js("""() => {
        socket.binaryType = "arraybuffer";
        socket.send("text \\u00e9");
        socket.send(new Uint8Array([1, 2, 3]).buffer);
        socket.send(new Uint8Array([0, 4, 5, 0]).subarray(1, 3));
        socket.send(new DataView(new ArrayBuffer(1)));
        socket.send(new Blob(["blob"]));
        socket.send({ toString: () => "an object's text" });
        socket.send(null);
    }""")
    assert await receive(server, 7) == [
        "text é",
        b"\1\2\3",
        b"\4\5",
        b"\0",
        b"blob",
        "an object's text",
        "null",
    ]

    await server.send("back")
    await server.send(b"\7\7")
    await client.event("message", 2)
    assert await client.js("[events[1].data, events[2].data.byteLength]") == ["back", 2]


async def test_binary_messages_are_blobs_unless_asked_otherwise(client: ClientPage) -> None:
    await client.open()
    server = await client.server.connection()
    await server.send(b"four")
    await client.event("message")
    assert await client.js("events.at(-1).data.text()") == "four"


async def test_the_binary_type_holds_from_the_first_message_on_and_after_a_loss(client: ClientPage) -> None:
    await client.js("(connect('/ws', [], { minDelay: 20 }).binaryType = 'arraybuffer')")
    for number in (1, 2):
        server = await client.server.connection()
        await server.send(b"four")
        await client.event("message", number)
        await server.close(1012)
    is_buffer = "events.filter(({ data }) => data).map(({ data }) => data instanceof ArrayBuffer)"
    assert await client.js(is_buffer) == [True, True]


async def test_handlers_and_listeners_are_called_with_the_socket_as_this(client: ClientPage) -> None:
    await client.js("""() => {
        connect("/ws");
        window.calls = [];
        socket.onopen = function (event) { calls.push(["open", this === socket, event.target === socket]); };
        socket.onmessage = () => calls.push(["replaced"]);
        socket.onmessage = function (event) { calls.push([event.data, this === socket, event.origin]); };
        socket.onclose = function (event) { calls.push([event.code, this === socket, event.wasClean]); };
    }""")
    server = await client.server.connection()
    await server.send("hi")
    await client.event("message")
    await client.js("socket.onmessage = null")
    await server.send("nobody listens by onmessage")
    await client.event("message", 2)
    await server.close(1000)
    await client.event("close")
    origin = client.server.url.replace("http", "ws")
    assert await client.js("calls") == [["open", True, True], ["hi", True, origin], [1000, True, True]]


async def test_the_chosen_subprotocol_is_told(client: ClientPage) -> None:
    client.server.subprotocols = ["second"]
    await client.open(protocols=["first", "second"])
    await client.server.connection()
    await client.event("open")
    assert await client.js("socket.protocol") == "second"
    assert "permessage-deflate" in await client.js("socket.extensions")


async def test_the_users_close_reaches_the_server_and_ends_it(client: ClientPage) -> None:
    await client.open()
    server = await client.server.connection()
    await client.event("open")
    assert await client.js("(socket.close(4000, 'enough'), socket.readyState)") == 2
    await server.wait_closed()
    assert (server.close_code, server.close_reason) == (4000, "enough")
    close = await client.event("close")
    assert close == {"type": "close", "readyState": 3, "code": 4000, "reason": "enough", "wasClean": True}
    await client.js("socket.close(1000)")
    assert [event["type"] for event in await client.events()] == ["open", "close"]


async def test_a_reason_alone_closes_with_1000(client: ClientPage) -> None:
    await client.open()
    server = await client.server.connection()
    await client.event("open")
    await client.js("socket.close(undefined, 'enough')")
    await server.wait_closed()
    assert (server.close_code, server.close_reason) == (1000, "enough")


async def test_the_users_close_before_the_open_ends_it_with_1006(client: ClientPage) -> None:
    client.server.hang = True
    await client.open()
    await client.server.attempted(1)
    await client.js("socket.close()")
    close = await client.event("close")
    assert (close["code"], close["readyState"], close["wasClean"]) == (1006, 3, False)
    assert [event["type"] for event in await client.events()] == ["error", "close"]
