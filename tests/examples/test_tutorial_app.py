"""Every section of the tutorial for one client, over uvicorn as it comes and a real socket."""

import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from polling import eventually
from server_process import ServerProcess, log_complaints
from socket_client import closed, heard, heard_json, opened
from talking import LIMIT, TEXTS, ask
from websockets.asyncio.client import ClientConnection


def test_a_traceback_or_a_secret_in_a_log_is_found() -> None:
    secret = "eyJhbGciOiJIUzI1NiJ9.abcdefghijklmnopqrstuvwxyz0123456789"
    assert log_complaints("all is well", [secret]) == []
    assert len(log_complaints("Traceback (most recent call last):", [secret])) == 1
    assert log_complaints(f'"GET /?token={secret}"', [secret])
    assert log_complaints(f"...{secret[-24:]} [200 bytes]", [secret])


# Accepting


async def test_ws_echoes_text(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws") as client:
        for text in TEXTS:
            assert await ask(client, text) == f"Echo: {text}"


async def test_many_messages_are_echoed_in_their_order(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws") as client:
        for number in range(500):
            await client.send(str(number))
        assert [await heard(client) for _ in range(500)] == [f"Echo: {number}" for number in range(500)]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/ws/greet/lobby?username=ada", "[lobby] ada: hi"),
        ("/ws/greet/lobby", "[lobby] anonymous: hi"),
        ("/ws/greet/a%20b%3C?username=%C3%A9%20%26", "[a b<] é &: hi"),
        ("/ws/greet/12?username=" + "x" * 64, f"[12] {'x' * 64}: hi"),
    ],
)
async def test_greet_names_room_and_user(tutorial: ServerProcess, path: str, answer: str) -> None:
    async with opened(tutorial, path) as client:
        assert await ask(client, "hi") == answer


# Receiving


async def test_text_is_received_as_text(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/text") as client:
        for text in TEXTS:
            assert await ask(client, text) == f"Text: {text}"


async def test_binary_is_received_as_bytes(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/binary") as client:
        for size in (0, 1, 125, 126, LIMIT - 1, LIMIT):
            assert await ask(client, b"\xff" * size) == f"Received {size} bytes"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ('{"action":"move","x":10,"y":20}', "Action: move"),
        ('{"action":"é"}', "Action: é"),
        ('{"x":1}', "Action: None"),
        ("{}", "Action: None"),
        (' \n{ "action" : 5 } ', "Action: 5"),
        ('{"action":' + "9" * 400 + "}", "Action: " + "9" * 400),
    ],
)
async def test_json_is_received_decoded(tutorial: ServerProcess, message: str, answer: str) -> None:
    async with opened(tutorial, "/ws/json") as client:
        assert await ask(client, message) == answer


async def test_any_takes_text_and_bytes_in_turn(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/any") as client:
        assert await ask(client, "hi") == "Text: hi"
        assert await ask(client, b"12345") == "Bytes: 5 bytes"
        assert await ask(client, "") == "Text: "
        assert await ask(client, b"") == "Bytes: 0 bytes"
        assert await ask(client, "again") == "Text: again"


# Sending


def decoded_png(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG whose signature, chunks, checksums and pixels are all right."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, []
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, place + 8 + length)
        assert checksum == zlib.crc32(kind + body), f"wrong checksum of {kind!r}"
        chunks.append((kind, body))
        place += 12 + length
    assert place == len(data)
    kinds = [kind for kind, _ in chunks]
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    assert interlace == 0
    pixels = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    assert len(pixels) == height * (1 + (width * bits + 7) // 8)
    return width, height


async def demo(client: ClientConnection) -> Any:
    """The second message of the demo, after the welcome."""
    assert await heard(client) == "Welcome to the server!"
    return await heard_json(client)


async def test_demo_sends_a_welcome_json_and_a_picture_then_echoes(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/demo") as client:
        connected = await demo(client)
        assert list(connected) == ["type", "user_count", "server_time"]
        assert connected["type"] == "connected"
        assert isinstance(connected["user_count"], int)
        assert abs(datetime.fromisoformat(connected["server_time"]) - datetime.now(UTC)) < timedelta(
            minutes=1
        )
        picture = await heard(client)
        assert isinstance(picture, bytes)
        width, height = decoded_png(picture)
        assert width > 1
        assert height > 1
        for text in TEXTS[:-1]:
            await client.send(text)
            assert await heard_json(client) == {"echo": text, "length": len(text)}


async def test_demo_counts_the_users_who_are_there(tutorial: ServerProcess) -> None:
    async def alone() -> bool:
        async with opened(tutorial, "/ws/demo") as client:
            return bool((await demo(client))["user_count"] == 1)

    await eventually(alone)
    async with opened(tutorial, "/ws/demo") as first, opened(tutorial, "/ws/demo") as second:
        counts = (await demo(first))["user_count"], (await demo(second))["user_count"]
        async with opened(tutorial, "/ws/demo") as third:
            assert (await demo(third))["user_count"] == counts[1] + 1
    await eventually(alone)


# Heartbeat


async def test_heartbeat_pings_swallows_the_pong_and_echoes_the_rest(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/heartbeat") as client:
        for number, pong in enumerate(["pong", '{"type":"pong"}', '{"type": "pong"}', "pong"]):
            assert await heard(client) == '{"type":"ping"}'
            await client.send(pong)
            await client.send(f"{number}")
            assert await heard(client) == f"Echo: {number}"


async def test_a_client_that_never_answers_the_heartbeat_is_closed(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/heartbeat") as client:
        messages, code, _ = await closed(client)
        assert messages
        assert set(messages) == {'{"type":"ping"}'}
        assert code == 1011


async def test_other_routes_ping_only_those_who_opted_in(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws?heartbeat=1") as asked, opened(tutorial, "/ws") as quiet:
        for _ in range(2):
            assert await heard(asked) == '{"type":"ping"}'
            await asked.send("pong")
        assert await ask(quiet, "pong") == "Echo: pong"


# The end


async def test_a_client_that_closes_gets_its_code_back(tutorial: ServerProcess) -> None:
    for code in (1000, 1001, 3000, 4999):
        async with opened(tutorial, "/ws") as client:
            await client.close(code, "bye")
            assert client.close_code == code
