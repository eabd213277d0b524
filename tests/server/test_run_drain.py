"""The end of ``hubbub run`` while responses are open that do not end, and of several workers together."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from polling import eventually
from server_process import HUBBUB, START_SECONDS, ServerProcess, running
from socket_client import closed, heard, opened
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

APP = """
import asyncio
import os
from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from hubbub import Hub

hub = Hub()
app = FastAPI(lifespan=hub.lifespan)
ended = []


@app.get("/events", response_class=EventSourceResponse)
async def events():
    yield ServerSentEvent(data="hello")
    try:
        async with hub.listen("news") as news:
            async for piece in news:
                yield ServerSentEvent(raw_data=piece.payload)
    finally:
        print("the events have ended", flush=True)


@app.get("/endless")
async def endless():
    async def pieces():
        yield b"hello"
        await asyncio.sleep(3600)
    return StreamingResponse(pieces())


@app.get("/measured")
async def measured():
    async def pieces():
        for _ in range(8):
            yield b"x"
            await asyncio.sleep(0.5)
    return StreamingResponse(pieces(), headers={"content-length": "8"})


@app.websocket("/room")
async def room(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me, me.join("room"):
        await me.send(str(os.getpid()))
        async for _ in me:
            pass
"""
EVENTS = {"accept": "text/event-stream"}


@contextlib.contextmanager
def run(folder: Path, *options: str) -> Iterator[ServerProcess]:
    """``hubbub run`` in a folder with the app above."""
    (folder / "main.py").write_text(APP)
    with running([*HUBBUB, "run", "main:app", *options], folder / "log", folder=folder) as server:
        yield server


class Body:
    """A response that has begun."""

    def __init__(self, response: httpx.Response) -> None:
        self._pieces = response.aiter_raw()
        self.text = b""

    async def begin(self) -> None:
        """Its first piece is here."""
        self.text += await anext(self._pieces)

    async def end(self) -> bool:
        """Wait for its end; whether it was whole."""
        try:
            async for piece in self._pieces:
                self.text += piece
        except httpx.RemoteProtocolError:
            return False
        return True


@asynccontextmanager
async def reading(
    server: ServerProcess, path: str, headers: dict[str, str] | None = None
) -> AsyncIterator[Body]:
    """Ask for a response; its first piece is here."""
    async with server.http(timeout=10) as http, http.stream("GET", path, headers=headers) as response:
        body = Body(response)
        await body.begin()
        yield body


async def test_event_streams_leave_one_after_the_other_and_end_whole(tmp_path: Path) -> None:
    with run(tmp_path, "--drain", "4") as server:
        async with AsyncExitStack() as stack:
            bodies = [await stack.enter_async_context(reading(server, "/events", EVENTS)) for _ in range(12)]
            ends = [asyncio.create_task(body.end()) for body in bodies]
            server.process.send_signal(signal.SIGTERM)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            assert sum(end.done() for end in ends) < len(ends) / 2
            assert await asyncio.gather(*ends) == [True] * len(ends)
        await eventually(lambda: server.process.poll() is not None)
        assert server.log().count("the events have ended") == len(bodies)


async def test_an_endless_response_is_broken_off_and_one_with_a_length_is_not(tmp_path: Path) -> None:
    with run(tmp_path, "--drain", "1") as server:
        async with reading(server, "/endless") as endless, reading(server, "/measured") as measured:
            server.process.send_signal(signal.SIGTERM)
            assert not await endless.end()
            assert len(measured.text) < 8
            assert await measured.end()
            assert measured.text == b"x" * 8
        await eventually(lambda: server.process.poll() is not None)


async def test_ctrl_c_does_not_wait_for_responses_that_do_not_end(tmp_path: Path) -> None:
    with run(tmp_path) as server:
        async with reading(server, "/events", EVENTS) as events, reading(server, "/endless") as endless:
            server.process.send_signal(signal.SIGINT)
            assert await events.end()
            assert not await endless.end()
        await eventually(lambda: server.process.poll() is not None)


async def both_workers(server: ServerProcess, stack: AsyncExitStack) -> dict[int, list[ClientConnection]]:
    """Clients until each of two workers has eight; by its process."""
    clients: dict[int, list[ClientConnection]] = {}
    async with asyncio.timeout(2 * START_SECONDS):
        while len(clients) < 2 or min(map(len, clients.values())) < 8:
            client = await stack.enter_async_context(opened(server, "/room", open_timeout=START_SECONDS))
            clients.setdefault(int(await heard(client)), []).append(client)
    return clients


async def test_workers_that_are_ended_together_refuse_with_503_and_close_one_after_the_other(
    tmp_path: Path,
) -> None:
    with run(tmp_path, "--workers", "2", "--drain", "5") as server:
        async with AsyncExitStack() as stack:
            clients = await both_workers(server, stack)
            ends = {
                worker: [asyncio.create_task(client.wait_closed()) for client in some]
                for worker, some in clients.items()
            }
            for process in clients:
                os.kill(process, signal.SIGTERM)
            for some in ends.values():
                await asyncio.wait(some, return_when=asyncio.FIRST_COMPLETED)
            server.process.send_signal(signal.SIGTERM)  # as if to the whole group: it passes its own on
            refused = 0
            while all(sum(end.done() for end in some) < len(some) / 2 for some in ends.values()):
                with pytest.raises(InvalidStatus) as answer:
                    await connect(server.ws("/room"), proxy=None)
                assert answer.value.response.status_code == 503
                refused += 1
                await asyncio.sleep(0.05)
            assert refused > 1, "they stay a while, and their port answers meanwhile"
            assert all(sum(end.done() for end in some) <= len(some) - 2 for some in ends.values())
            assert {(await closed(client))[1] for some in clients.values() for client in some} == {1012}
        await eventually(lambda: server.process.poll() is not None)
