"""The plain WebSocket rooms, in the tutorial's protocol, and what the chat page asks about them."""

import unicodedata
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket

from hubbub import Hub, Refused

Username = Annotated[str, Query(max_length=64)]
SYSTEM = "system"
"""Who the notices are from; no user can have that name."""


def chat_router(hub: Hub) -> APIRouter:
    """The routes of rooms and chat on the given hub."""
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

    @router.websocket("/chat/{room}")
    async def chat(websocket: WebSocket, room: str, username: Username = "anonymous") -> None:
        """Text in, ``{"from": name, "text": text}`` out."""
        name = f"chat:{room}"
        async with hub.connection(websocket, info={"name": username}) as me:
            if _plain(username) in ("", SYSTEM):
                raise Refused("Please take another name")
            async with me.join(name):
                await hub.broadcast_to_room(name, {"from": SYSTEM, "text": f"{username} joined"})
                try:
                    async for text in me.iter_text():
                        await hub.broadcast_to_room(name, {"from": username, "text": text})
                finally:
                    me.leave(name)
                    await hub.broadcast_to_room(name, {"from": SYSTEM, "text": f"{username} left"})

    @router.get("/chat/rooms")
    async def rooms() -> dict[str, list[dict[str, str | int]]]:
        """The chat's rooms that have members, by name."""
        names = sorted(room for room in hub.rooms if room.startswith("chat:"))
        return {
            "rooms": [{"room": room.removeprefix("chat:"), "members": len(_present(room))} for room in names]
        }

    @router.get("/chat/rooms/{room}")
    async def members(room: str) -> dict[str, str | list[str]]:
        """The names of those who are in the room, each once."""
        return {"room": room, "members": _present(f"chat:{room}")}

    def _present(room: str) -> list[str]:
        return sorted({str((member.info or {})["name"]) for member in hub.members(room)})

    return router


def _plain(name: str) -> str:
    """How a name looks to people: without case, blanks, invisible characters and other forms of a letter."""
    letters = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in letters if letter.isprintable() and not letter.isspace())
