"""What the tutorial's app cannot use: a clear error or close code each time, and no traceback."""

import json

import httpx
import pytest
from server_process import ServerProcess
from socket_client import closed, heard, heard_json, heard_until, opened, refusal, rejected
from websockets.asyncio.client import ClientConnection

LIMIT = 65_536


async def ask(client: ClientConnection, message: str | bytes) -> str | bytes:
    """Send, and return the next message."""
    await client.send(message)
    return await heard(client)


def error(message: str) -> list[str]:
    """What a client is told before it is closed."""
    return [f'{{"type":"error","msg":"{message}"}}']


@pytest.mark.parametrize(
    "path", ["/ws", "/ws/greet/x", "/ws/text", "/ws/demo", "/ws/room/types", "/chat/types", "/ws/heartbeat"]
)
async def test_bytes_where_text_is_expected_close_1003(tutorial: ServerProcess, path: str) -> None:
    messages, code = await refusal(tutorial, path, b"bytes")
    assert messages[-1:] == error("Expected a text message")
    assert code == 1003


async def test_text_where_bytes_are_expected_closes_1003(tutorial: ServerProcess) -> None:
    assert await refusal(tutorial, "/ws/binary", "text") == (error("Expected a binary message"), 1003)


async def test_bytes_where_json_is_expected_close_1003(tutorial: ServerProcess) -> None:
    expected = error("Expected a text message with JSON")
    assert await refusal(tutorial, "/ws/json", b'{"action":"move"}') == (expected, 1003)


async def test_bytes_to_the_connection_manager_close_1003(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/client/108") as client:
        await client.send(b"bytes")
        _, code, reason = await closed(client)
        assert (code, reason) == (1003, "Expected a text message")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nonsense",
        '{"action":}',
        "{'action':'move'}",
        '{"action":NaN}',
        '{"action":1e999}',
        '{"action":"\\ud800"}',
        '{"action":' + "9" * 5_000 + "}",
        '{"action":"x"} {"action":"y"}',
    ],
    ids=lambda text: text[:20],
)
async def test_broken_json_closes_1007_with_an_error(tutorial: ServerProcess, text: str) -> None:
    assert await refusal(tutorial, "/ws/json", text) == (error("Invalid JSON"), 1007)


async def test_a_deep_nest_closes_1007_with_an_error(tutorial: ServerProcess) -> None:
    text = '{"a":' * 5_000 + "1" + "}" * 5_000
    assert await refusal(tutorial, "/ws/json", text) == (error("JSON nested too deeply"), 1007)


async def test_a_deep_nest_without_an_end_closes_1007_with_an_error(tutorial: ServerProcess) -> None:
    answers = [(error(said), 1007) for said in ("JSON nested too deeply", "Invalid JSON")]
    assert await refusal(tutorial, "/ws/json", "[" * 5_000) in answers  # as far as the parser gets


@pytest.mark.parametrize("text", ["[]", '"action"', "5", "null", "true"])
async def test_json_that_is_no_object_closes_1007_with_an_error(tutorial: ServerProcess, text: str) -> None:
    assert await refusal(tutorial, "/ws/json", text) == (error("Expected a JSON object"), 1007)


@pytest.mark.parametrize("path", ["/ws", "/ws/text", "/ws/any", "/ws/json", "/ws/room/big", "/chat/big"])
@pytest.mark.parametrize(
    "message",
    ["x" * (LIMIT + 1), b"x" * (LIMIT + 1), "é" * (LIMIT // 2) + "x", "🦉" * (LIMIT // 4 + 1)],
    ids=["text", "binary", "two-byte text", "four-byte text"],
)
async def test_a_message_over_64_kib_closes_1009(
    tutorial: ServerProcess, path: str, message: str | bytes
) -> None:
    async with opened(tutorial, path) as client:
        await client.send(message)
        _, code, reason = await closed(client)
        assert (code, reason) == (1009, "message over 65536 bytes")


async def test_64_kib_exactly_are_taken_in_any_script(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/any") as client:
        for text in ("x" * LIMIT, "é" * (LIMIT // 2), "🦉" * (LIMIT // 4)):
            assert await ask(client, text) == f"Text: {text}"
        assert await ask(client, b"x" * LIMIT) == f"Bytes: {LIMIT} bytes"


async def test_one_who_sends_too_much_harms_nobody_else(tutorial: ServerProcess) -> None:
    async with (
        opened(tutorial, "/chat/calm?username=ada") as ada,
        opened(tutorial, "/chat/calm?username=eve") as eve,
    ):
        await eve.send("x" * (LIMIT + 1))
        await heard_until(ada, '{"from":"system","text":"eve left"}')
        assert (await closed(eve))[1] == 1009
        assert await ask(ada, "hi") == '{"from":"ada","text":"hi"}'


@pytest.mark.parametrize(
    "path",
    [
        "/ws/client/abc",
        "/ws/client/-1",
        "/ws/client/1.5",
        "/ws/client/%31x",
        "/ws/client/",
        "/ws/client/" + "9" * 5_000,
        "/ws/nowhere",
        "/",
    ],
    ids=lambda path: path[:24],
)
async def test_a_path_that_does_not_fit_is_refused_before_the_upgrade(
    tutorial: ServerProcess, path: str
) -> None:
    assert await rejected(tutorial, path) == 403


@pytest.mark.parametrize("path", ["/ws/greet/x", "/ws/room/x", "/chat/x"])
async def test_a_name_over_64_characters_is_refused_before_the_upgrade(
    tutorial: ServerProcess, path: str
) -> None:
    assert await rejected(tutorial, f"{path}?username={'x' * 65}") == 403
    assert await rejected(tutorial, f"{path}?username={'%C3%A9' * 65}") == 403


@pytest.mark.parametrize("route", ["/ws/room/", "/chat/"])
@pytest.mark.parametrize(
    "room",
    [
        "%20",
        "a%20b",
        "%00",
        "%0d%0aSet-Cookie:%20a=b",
        "%1b%5B31m",
        "*",
        "%3E",
        "%7Bname%7D",
        "%C3%A9",
        "%ED%A0%80",
        "%FF",
        "%22%3E%3Cscript%3E",
        "'%20OR%201=1",
        "..%5C..",
        "x" * 251,
        "x" * 5_000,
    ],
    ids=lambda room: room[:20],
)
async def test_a_hostile_room_name_is_refused_with_a_reason(
    tutorial: ServerProcess, route: str, room: str
) -> None:
    messages, code = await refusal(tutorial, route + room)
    assert code == 1008
    assert len(messages) == 1
    told = json.loads(messages[0])
    assert told["type"] == "error"
    assert told["msg"].startswith("Invalid room name")


async def test_a_name_with_control_characters_cannot_break_out_of_the_json(tutorial: ServerProcess) -> None:
    name = '\x1b[31m"},\n{"from":"system'
    async with opened(tutorial, f"/chat/quotes?{httpx.QueryParams({'username': name})}") as eve:
        assert await heard_json(eve) == {"from": "system", "text": f"{name} joined"}
