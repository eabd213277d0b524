"""The chat for plain WebSockets, as in FastAPI's tutorial, and who is where."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, WebSocket

from hubbub import Hub, Refused
from hubbub.core.errors import BrokerError, InvalidRoomName, LimitReached
from hubbub.core.formats import PLAIN
from hubbub.core.messages import to_payload
from hubbub.core.presence import Present
from hubbub.server.chat import CHAT, NAME_TAKEN, SYSTEM, looks, name_in

Username = Annotated[str, Query(max_length=64)]


def chat_router(hub: Hub) -> APIRouter:
    """The chat's routes on the given hub."""
    router = APIRouter()

    @router.websocket("/chat/{room}")
    async def chat(websocket: WebSocket, room: str, username: Username = "anonymous") -> None:
        """Text in, ``{"from": name, "text": text}`` out."""
        name = CHAT + room
        async with hub.connection(websocket, info={"name": username}) as me:
            if looks(username) in ("", SYSTEM):
                raise Refused(NAME_TAKEN.message)
            async with me.join(name):
                async for text in me.iter_text():
                    await hub.broadcast_to_room(name, {"from": username, "text": text})

    @router.get("/chat/rooms")
    async def rooms() -> dict[str, list[dict[str, str | int]]]:
        """The chat's rooms that have members on any node, by name."""
        try:
            found = await hub.find_rooms(f"{CHAT}*")
            names = [room for room in found if _has_presence(hub, room)]
            present = await asyncio.gather(*(_names(hub, room) for room in names))
        except (LimitReached, BrokerError) as error:
            raise HTTPException(503, "Try again later", {"Retry-After": "1"}) from error
        counted = zip(names, present, strict=True)
        return {"rooms": [{"room": room.removeprefix(CHAT), "members": len(who)} for room, who in counted]}

    @router.get("/chat/rooms/{room}")
    async def members(room: str) -> dict[str, str | list[str]]:
        """The names of those who are in the room on any node, each once."""
        try:
            present = await _names(hub, CHAT + room) if _has_presence(hub, CHAT + room) else []
        except BrokerError as error:
            raise HTTPException(503, "Try again later", {"Retry-After": "1"}) from error
        return {"room": room, "members": present}

    hub.on_joined(lambda room, present: _tell(hub, room, present, "joined"))
    hub.on_left(lambda room, present: _tell(hub, room, present, "left"))
    return router


async def _tell(hub: Hub, room: str, present: Present, what: str) -> None:
    """Tell the plain members here. It is not published: those of the protocol know, and nobody keeps it."""
    if not room.startswith(CHAT):
        return
    notice = to_payload({"from": SYSTEM, "text": f"{name_in(present.members[0].info)} {what}"})
    for member in hub.members(room):
        if member.format is PLAIN:
            member.deliver(notice)


def _has_presence(hub: Hub, room: str) -> bool:
    """A file of settings may have given the room other options."""
    options = hub.options(room)
    return options is not None and options.presence


async def _names(hub: Hub, room: str) -> list[str]:
    try:
        return sorted({name_in(one.info) for one in await hub.presence(room)})
    except InvalidRoomName:
        return []
