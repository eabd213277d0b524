"""Which rooms of the chat have members, and who they are, on all nodes: two of them over a real Valkey."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from polling import eventually
from redis_servers import redis_server

from hubbub.server.app import create_app
from hubbub.server.configuration import load
from hubbub.testing import connect, running


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[list[FastAPI]]:
    """Two servers' apps in this process; they know of each other only through the broker."""
    file = tmp_path / "hubbub.toml"
    file.touch()
    with redis_server("valkey") as valkey:
        settings = load(file, {"HUBBUB_BROKER": valkey.url()}).settings
        apps = [create_app(settings) for _ in range(2)]
        async with AsyncExitStack() as stack:
            for app in apps:
                await stack.enter_async_context(running(app))
            yield apps


async def ask(app: FastAPI, path: str) -> object:
    """What one node answers."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://node", verify=False) as http:
        return (await http.get(path)).json()


async def test_every_node_counts_the_rooms_and_members_of_all(nodes: list[FastAPI]) -> None:
    near, far = nodes
    all_rooms = [{"room": "art", "members": 2}, {"room": "far", "members": 1}, {"room": "near", "members": 1}]
    async with (
        connect(near, "/chat/near?username=ada"),
        connect(far, "/chat/far?username=bob"),
        connect(near, "/chat/art?username=ada"),
        connect(far, "/chat/art?username=ada"),
        connect(far, "/chat/art?username=cem"),
        connect(far, "/ws/room/plain?username=eve"),
    ):
        for app in nodes:

            async def all_are_counted(app: FastAPI = app) -> bool:
                return await ask(app, "/chat/rooms") == {"rooms": all_rooms}

            await eventually(all_are_counted)
            assert await ask(app, "/chat/rooms/art") == {"room": "art", "members": ["ada", "cem"]}
            assert await ask(app, "/chat/rooms/far") == {"room": "far", "members": ["bob"]}

    async def nobody() -> bool:
        return [await ask(app, "/chat/rooms") for app in nodes] == [{"rooms": []}] * 2

    await eventually(nobody)
