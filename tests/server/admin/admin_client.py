"""What the admin page says to the server, without the page."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from server_process import ServerProcess
from socket_client import heard_json, opened
from websockets.asyncio.client import ClientConnection

ADMIN_KEY = secrets.token_urlsafe(32)
BEARER = {"Authorization": f"Bearer {ADMIN_KEY}"}
SECONDS = 15.0


@asynccontextmanager
async def looking(server: ServerProcess) -> AsyncIterator[ClientConnection]:
    """A feed whose key was taken; its first message is the hello."""
    async with opened(server, "/admin/feed") as feed:
        await feed.send(json.dumps({"key": ADMIN_KEY}))
        yield feed


async def seen(feed: ClientConnection, look: Callable[[Any], Any]) -> Any:
    """What `look` says of the first message for which it says anything."""
    async with asyncio.timeout(SECONDS):
        while True:
            if found := look(await heard_json(feed)):
                return found


async def asked(server: ServerProcess, path: str, body: object = None, **query: object) -> Any:
    """What the server answers to somebody with the key; fails for a refusal."""
    async with server.http(headers=BEARER) as http:
        if body is None:
            answer = await http.get(f"/admin/api/{path}", params=query)  # type: ignore[arg-type]
        else:
            answer = await http.post(f"/admin/api/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()
