"""What a plain WebSocket client sees, each wait with a deadline."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from server_process import ServerProcess
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

SECONDS = 10.0
UNAUTHORIZED = ['{"type":"error","msg":"Unauthorized"}']
"""All that a refused client is told, before 1008."""


@asynccontextmanager
async def opened(server: ServerProcess, path: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A connection whose handshake has succeeded. What is not read does not hold up its end."""
    options = {"open_timeout": SECONDS, "max_queue": None, **options}
    async with connect(server.ws(path), proxy=None, **options) as client:
        yield client


async def heard(client: ClientConnection) -> str | bytes:
    """The next message."""
    async with asyncio.timeout(SECONDS):
        return await client.recv()


async def heard_json(client: ClientConnection) -> Any:
    """The next message, decoded."""
    message = await heard(client)
    assert isinstance(message, str), "JSON comes as text"
    return json.loads(message)


async def heard_until(client: ClientConnection, last: str | bytes) -> list[str | bytes]:
    """All messages up to one."""
    messages = []
    while not messages or messages[-1] != last:
        messages.append(await heard(client))
    return messages


async def closed(client: ClientConnection) -> tuple[list[str | bytes], int, str]:
    """What still came, then the close code and the reason; 1006 where there was no close frame."""
    messages: list[str | bytes] = []
    try:
        while True:
            messages.append(await heard(client))
    except ConnectionClosed as end:
        return messages, end.rcvd.code if end.rcvd else 1006, end.rcvd.reason if end.rcvd else ""


async def refusal(server: ServerProcess, path: str, *sent: str | bytes, **options: Any) -> Any:
    """What a client is told and the close code, when its handshake is answered and then it is closed."""
    async with opened(server, path, **options) as client:
        for message in sent:
            await client.send(message)
        messages, code, _ = await closed(client)
        return messages, code


async def rejected(server: ServerProcess, path: str, **options: Any) -> int:
    """The HTTP status of a handshake that must fail."""
    with pytest.raises(InvalidStatus) as refused:
        async with opened(server, path, **options):
            pass
    return refused.value.response.status_code
