"""The chat's rooms, for plain WebSockets and for clients of the Centrifuge protocol."""

import unicodedata
from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Query, WebSocket

from hubbub import Allow, Connection, History, Hub, Refused
from hubbub.centrifuge.errors import ClientError
from hubbub.core.formats import PLAIN
from hubbub.core.messages import to_payload
from hubbub.core.presence import Present
from hubbub.fastapi import current_client
from hubbub.gateway import CommandFailed

Username = Annotated[str, Query(max_length=64)]
Client = Annotated[Connection, Depends(current_client)]

SYSTEM: Final = "system"
"""Who the notices are from; no user can have that name."""

CHAT: Final = "chat:"
"""What the names of the chat's rooms begin with."""

KEPT: Final = History(size=500, ttl=7 * 24 * 3600.0)
"""What a room of the chat remembers."""

NAME_TAKEN: Final = ClientError(400, "Please take another name")
"""Tells a client of the protocol that it cannot be called so."""


def add_chat_rooms(hub: Hub) -> None:
    """Let everybody into the chat's rooms. Clients of the protocol tell a name when they come in."""
    rooms = hub.room(
        CHAT + "{room:path}",
        history=KEPT,
        presence=True,
        join_leave=True,
        force_recovery=True,
        allow_subscribe=Allow.ANYONE,
        allow_publish=Allow.ANYONE,
        allow_history=Allow.ANYONE,
        allow_presence=Allow.ANYONE,
    )

    @rooms.on_join
    async def join(
        room: str, me: Client, name: Annotated[str, Body(embed=True, max_length=64)] = "anonymous"
    ) -> None:
        renamed = bool(me.rooms) and _name(me.info) != name  # others see the name that it came in with
        if renamed or _looks(name) in ("", SYSTEM):
            raise CommandFailed(NAME_TAKEN)
        me.info = {"name": name}

    @rooms.on_message
    async def say(room: str, me: Client, text: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        if f"{CHAT}{room}" not in me.rooms:
            raise Refused("Come in first")
        return {"from": _name(me.info), "text": text}

    hub.on_joined(lambda room, present: _tell(hub, room, present, "joined"))
    hub.on_left(lambda room, present: _tell(hub, room, present, "left"))


async def _tell(hub: Hub, room: str, present: Present, what: str) -> None:
    """Tell the plain members here. It is not published: those of the protocol know, and nobody keeps it."""
    if not room.startswith(CHAT):
        return
    notice = to_payload({"from": SYSTEM, "text": f"{_name(present.members[0].info)} {what}"})
    for member in hub.members(room):
        if member.format is PLAIN:
            member.deliver(notice)


def chat_router(hub: Hub) -> APIRouter:
    """The chat's routes on the given hub."""
    router = APIRouter()

    @router.websocket("/chat/{room}")
    async def chat(websocket: WebSocket, room: str, username: Username = "anonymous") -> None:
        """Text in, ``{"from": name, "text": text}`` out."""
        name = CHAT + room
        async with hub.connection(websocket, info={"name": username}) as me:
            if _looks(username) in ("", SYSTEM):
                raise Refused(NAME_TAKEN.message)
            async with me.join(name):
                async for text in me.iter_text():
                    await hub.broadcast_to_room(name, {"from": username, "text": text})

    @router.get("/chat/rooms")
    async def rooms() -> dict[str, list[dict[str, str | int]]]:
        """The chat's rooms that have members, by name."""
        names = sorted(room for room in hub.rooms if room.startswith(CHAT))
        return {
            "rooms": [{"room": room.removeprefix(CHAT), "members": len(_present(room))} for room in names]
        }

    @router.get("/chat/rooms/{room}")
    async def members(room: str) -> dict[str, str | list[str]]:
        """The names of those who are in the room, each once."""
        return {"room": room, "members": _present(CHAT + room)}

    def _present(room: str) -> list[str]:
        return sorted({_name(member.info) for member in hub.members(room)})

    return router


def _name(info: object) -> str:
    """The name in what is known of a connection."""
    return str(info.get("name", "")) if isinstance(info, dict) else ""


def _looks(name: str) -> str:
    """How a name looks to people: without case, blanks, invisible characters and other forms of a letter."""
    letters = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in letters if letter.isprintable() and not letter.isspace())
