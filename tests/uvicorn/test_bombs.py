"""Bombs against a server process: the documented code, little memory, and others are served meanwhile."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn_servers import frame_of
from websockets.asyncio.client import connect

from hubbub.core.deflate import encode_compressed_frame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def inflate_bomb() -> bytes:
    frame = encode_compressed_frame(2, bytes(10_000_000))
    return frame_of(frame[0], frame[4:])


BOMBS: dict[str, tuple[Callable[[], bytes], int]] = {
    "100,000 fragments of one byte": (lambda: frame_of(0x02, b"x") + frame_of(0x00, b"x") * 100_000, 1009),
    "200,000 empty fragments": (lambda: frame_of(0x02) + frame_of(0x00) * 200_000, 1009),
    "a frame of 16 MiB": (lambda: frame_of(0x82, bytes(16 << 20)), 1009),
    "an announced frame of 2^62 bytes": (lambda: b"\x82\xff" + (1 << 62).to_bytes(8, "big"), 1009),
    "an inflate bomb": (inflate_bomb, 1009),
    "100,000 pings": (lambda: frame_of(0x89, b"x") * 100_000, 1008),
    "text that is not UTF-8": (lambda: frame_of(0x81, b"\xff") * 10_000, 1007),
}


async def test_bombs_end_with_their_code_and_cost_little_memory(spawn: Any, raw_client: Any) -> None:
    server = spawn(
        "framework_apps:echo", "--ws", "hubbub.uvicorn:DeflateWebSocketProtocol", "--ws-max-size", "65536"
    )
    async with connect(server.url) as neighbour:
        await neighbour.send("before")
        await neighbour.recv()
        before = server.memory()
        for name, (bomb, code) in BOMBS.items():
            client = await raw_client(server.port)
            await client.upgrade(more="Sec-WebSocket-Extensions: permessage-deflate\r\n")
            sending = asyncio.create_task(client.send(bomb()))
            await neighbour.send(name)
            assert await asyncio.wait_for(neighbour.recv(), 5) == name
            assert (await client.closed())[0] == code, name
            await asyncio.gather(sending, return_exceptions=True)
            client.close()
        assert server.memory() - before < 20_000_000
    log = await asyncio.to_thread(server.terminate)
    assert "Traceback" not in log


async def test_a_terminated_process_closes_its_clients_1012_and_ends(spawn: Any, raw_client: Any) -> None:
    server = spawn("framework_apps:echo")
    silent = await raw_client(server.port)
    await silent.upgrade()
    async with connect(server.url) as client:
        ending = asyncio.create_task(asyncio.to_thread(server.terminate))
        await asyncio.wait_for(client.wait_closed(), 10)
        assert client.close_code == 1012
    assert await silent.closed() == (1012, "")
    log = await ending
    assert "Traceback" not in log
    assert "Finished server process" in log
