"""The plain rooms: text in, text out, nothing to know but an address."""

from collections.abc import Container
from typing import Annotated, Final

from fastapi import APIRouter, Query, WebSocket

from hubbub import Hub

Username = Annotated[str, Query(max_length=64)]

ROOM: Final = "room:"
"""What the names of the plain rooms begin with."""


ROOMS: Final = ROOM + "{room:path}"


def plain_room_router(hub: Hub, taken: Container[str] = ()) -> APIRouter:
    """The route of the plain rooms on the given hub, and their pattern: backends publish into them, too.

    Args:
        hub: has these rooms then.
        taken: patterns that it has already.
    """
    if ROOMS not in taken:
        hub.room(ROOMS)
    router = APIRouter()

    @router.websocket("/ws/room/{room}")
    async def plain_room(websocket: WebSocket, room: str, username: Username = "anonymous") -> None:
        """Text in, ``[room] name: text`` out."""
        name = ROOM + room
        async with hub.connection(websocket) as me, me.join(name):
            await hub.broadcast_to_room(name, f"A new user joined #{room}")
            try:
                async for text in me.iter_text():
                    await hub.broadcast_to_room(name, f"[{room}] {username}: {text}")
            finally:
                me.leave(name)
                await hub.broadcast_to_room(name, f"{username} left")

    return router
