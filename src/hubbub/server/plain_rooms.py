"""The plain rooms: text in, text out, nothing to know but an address."""

from typing import Annotated

from fastapi import APIRouter, Query, WebSocket

from hubbub import Hub

Username = Annotated[str, Query(max_length=64)]


def plain_room_router(hub: Hub) -> APIRouter:
    """The route of the plain rooms on the given hub."""
    router = APIRouter()

    @router.websocket("/ws/room/{room}")
    async def plain_room(websocket: WebSocket, room: str, username: Username = "anonymous") -> None:
        """Text in, ``[room] name: text`` out."""
        name = f"room:{room}"
        async with hub.connection(websocket) as me, me.join(name):
            await hub.broadcast_to_room(name, f"A new user joined #{room}")
            try:
                async for text in me.iter_text():
                    await hub.broadcast_to_room(name, f"[{room}] {username}: {text}")
            finally:
                me.leave(name)
                await hub.broadcast_to_room(name, f"{username} left")

    return router
