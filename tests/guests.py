"""Clients over the in-memory transport, each beside the hub's own view of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from polling import turns
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from hubbub import Connection, Disconnected, Hub
from hubbub.testing import App, Client, connect


def route(handler: Callable[[WebSocket], Awaitable[None]]) -> App:
    """An app with one WebSocket route."""
    return Starlette(routes=[WebSocketRoute("/{rest:path}", handler)])


@dataclass(frozen=True, slots=True)
class Guest:
    """A client, and its connection in the hub."""

    client: Client
    me: Connection

    async def received(self) -> list[str | bytes]:
        """Everything that is on the way to the client, without waiting for more."""
        messages = []
        await turns(60)  # however long they take: what is on the way has arrived then
        while True:
            try:
                messages.append(await self.client.receive(timeout=0.05))
            except (TimeoutError, Disconnected):
                return messages


@asynccontextmanager
async def guest(
    hub: Hub, url: str = "/", *, rooms: tuple[str, ...] = (), envelope: bool = False, **arguments: Any
) -> AsyncIterator[Guest]:
    """A client that has joined rooms. Its handler throws away what the client sends.

    Other arguments are those of `hubbub.testing.connect`.
    """
    came: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    async def stay(websocket: WebSocket) -> None:
        async with hub.connection(websocket, envelope=envelope) as me:
            for room in rooms:
                await me.join(room)
            came.set_result(me)
            await me.wait_closed()

    async with connect(route(stay), url, **arguments) as client:
        yield Guest(client, await came)
