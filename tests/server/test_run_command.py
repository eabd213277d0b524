"""``hubbub run``: a calm end, several processes, and reload with sockets open."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from polling import eventually
from server_process import HUBBUB, ServerProcess, running
from socket_client import closed, heard, opened
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from hubbub.uvicorn.collector import THRESHOLDS

APP = """
import gc
import os
from fastapi import FastAPI, WebSocket
from hubbub import Hub

VERSION = 1
hub = Hub()
app = FastAPI(lifespan=hub.lifespan)


@app.websocket("/room")
async def room(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me, me.join("room"):
        await me.send(f"{VERSION} {os.getpid()}")
        async for text in me.iter_text():
            await hub.broadcast_to_room("room", text)


@app.websocket("/collector")
async def collector(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        await me.send({"thresholds": gc.get_threshold(), "frozen": gc.get_freeze_count()})


@app.websocket("/deaf")
async def deaf(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        await me.send("hello")
        await me.wait_closed()
"""


@contextlib.contextmanager
def run(folder: Path, *options: str) -> Iterator[ServerProcess]:
    """``hubbub run`` in a folder with the app above."""
    (folder / "main.py").write_text(APP)
    with running([*HUBBUB, "run", "main:app", *options], folder / "log", folder=folder) as server:
        yield server


async def welcomed(server: ServerProcess) -> ClientConnection:
    """A client that the app has greeted."""
    client = await connect(server.ws("/room"), proxy=None)
    await heard(client)
    return client


async def end_of(client: ClientConnection) -> int:
    """The close code, however long it takes to come."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.recv()
    assert client.close_code is not None
    return client.close_code


async def test_clients_leave_one_after_the_other_and_nobody_new_comes_in(tmp_path: Path) -> None:
    with run(tmp_path, "--drain", "4") as server:
        clients = [await welcomed(server) for _ in range(20)]
        ends = [asyncio.create_task(end_of(client)) for client in clients]
        server.process.send_signal(signal.SIGTERM)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        assert sum(end.done() for end in ends) < len(ends) / 2
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.ws("/room"), proxy=None)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"]
        assert {await end for end in ends} == {1012}
        await eventually(lambda: server.process.poll() is not None)


async def test_messages_go_on_until_a_client_is_told_to_leave(tmp_path: Path) -> None:
    with run(tmp_path, "--drain", "4") as server:
        clients = [await welcomed(server) for _ in range(10)]
        heard_by: dict[int, list[str]] = {index: [] for index in range(len(clients))}

        async def listen(index: int) -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    heard_by[index].append(str(await clients[index].recv()))

        listeners = [asyncio.create_task(listen(index)) for index in heard_by]
        server.process.send_signal(signal.SIGTERM)
        sent = 0
        while not all(listener.done() for listener in listeners):
            for client in clients:
                with contextlib.suppress(ConnectionClosed):
                    await client.send(str(sent))
                    sent += 1
            await asyncio.sleep(0.02)
        longest = max(heard_by.values(), key=len)
        assert len(longest) > 10, "messages went on during the drain"
        # Everybody heard the same, each up to its own end.
        assert all(longest[: len(texts)] == texts for texts in heard_by.values())


async def test_the_process_ends_at_once_when_everybody_has_left(tmp_path: Path) -> None:
    with run(tmp_path, "--drain", "20") as server:
        clients = [await welcomed(server) for _ in range(3)]
        server.process.send_signal(signal.SIGTERM)
        await eventually(lambda: "Draining 3 clients" in server.log())
        for client in clients:
            await client.close()
        await eventually(lambda: server.process.poll() is not None)


async def test_ctrl_c_does_not_wait_for_a_drain(tmp_path: Path) -> None:
    with run(tmp_path, "--drain", "20") as server:
        client = await welcomed(server)
        server.process.send_signal(signal.SIGINT)
        assert (await closed(client))[1] == 1012
        await eventually(lambda: server.process.poll() is not None)


async def test_several_workers_serve_and_a_killed_one_is_replaced(tmp_path: Path) -> None:
    with run(tmp_path, "--workers", "2", "--drain", "1") as server:

        async def worker() -> int:
            async with opened(server, "/room") as client:
                return int(str(await heard(client)).split()[1])

        workers: set[int] = set()
        while len(workers) < 2:
            workers.add(await worker())
        victim = workers.pop()
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(45):
            while True:
                with contextlib.suppress(OSError, InvalidHandshake, ConnectionClosed):
                    if await worker() not in {victim, *workers}:
                        break


async def test_workers_are_replaced_one_by_one_and_nobody_is_refused(tmp_path: Path) -> None:
    with run(tmp_path, "--workers", "2", "--drain", "1") as server:

        async def worker() -> int:
            async with opened(server, "/room") as client:
                return int(str(await heard(client)).split()[1])

        async def workers(without: set[int]) -> set[int]:
            """Both that answer, as soon as they are none of these."""
            found: set[int] = set()
            async with asyncio.timeout(45):
                while len(found) < 2:
                    found |= {await worker()} - without
                    await asyncio.sleep(0.01)
            return found

        first = await workers(set())
        async with opened(server, "/room") as client:
            await heard(client)
            server.process.send_signal(signal.SIGHUP)
            # A handshake that is refused meanwhile would raise here.
            await workers(first)
            assert (await closed(client))[1] == 1012


async def test_reload_works_with_sockets_open(tmp_path: Path) -> None:
    with run(tmp_path, "--reload") as server:
        async with opened(server, "/room") as client, opened(server, "/deaf") as deaf:
            assert str(await heard(client)).startswith("1 ")
            assert await heard(deaf) == "hello"
            # Of another length: Python takes its old bytecode for a file of the same size and second.
            (tmp_path / "main.py").write_text(APP.replace("VERSION = 1", "VERSION = 2  # new"))
            assert (await closed(client))[1] == 1012
            assert (await closed(deaf))[1] == 1012
        # The listener stays open: whoever comes meanwhile waits for the new process.
        async with asyncio.timeout(20), connect(server.ws("/room"), proxy=None, open_timeout=20) as client:
            assert str(await client.recv()).startswith("2 ")


def test_workers_and_reload_exclude_each_other() -> None:
    command = [*HUBBUB, "run", "main:app", "--workers", "2", "--reload"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "one worker" in ended.stderr


def test_an_app_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    command = [*HUBBUB, "run", "nothing:app", "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path)
    assert ended.returncode == 3, "what uvicorn ends with when it cannot start"
    assert "nothing" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


async def test_the_garbage_collector_is_set_for_many_objects_that_stay(tmp_path: Path) -> None:
    with run(tmp_path, "--drain", "0") as server:
        async with opened(server, "/collector") as client:
            found = json.loads(await heard(client))
    assert tuple(found["thresholds"]) == THRESHOLDS
    assert found["frozen"] > 10_000
