"""The chat: its rooms, and what its page can do in them. Plain WebSockets are in `plain_chat`.

A message is published as ``{"from": name, "text": text}``, so that plain clients understand it. What only the
page needs is in the publication's tags: the message's id, or the id of the message that is edited or deleted.
"""

import unicodedata
from collections.abc import Container
from typing import Annotated, Final

from fastapi import Body, Depends

from hubbub import Allow, Connection, History, Hub, Position, Publication, Refused
from hubbub.centrifuge.errors import ClientError
from hubbub.fastapi import current_client
from hubbub.gateway import CommandFailed
from hubbub.server.authorship import Key, MessageId, Suffix, author_of, message_id, wrote

Client = Annotated[Connection, Depends(current_client)]
Name = Annotated[str, Body(embed=True, max_length=64)]
Room = Annotated[str, Body(embed=True, max_length=255)]
Text = Annotated[str, Body(embed=True, min_length=1, max_length=4000)]

SYSTEM: Final = "system"
"""Who the notices are from; no user can have that name."""

CHAT: Final = "chat:"
"""What the names of the chat's rooms begin with."""

TYPING: Final = "chat-typing:"
"""What the names of the rooms begin with in which pages tell that somebody is typing."""

ROOMS: Final = CHAT + "{room:path}"
TYPING_ROOMS: Final = TYPING + "{room:path}"

KEPT: Final = History(size=500, ttl=7 * 24 * 3600.0)
"""What a room of the chat remembers."""

NAME_TAKEN: Final = ClientError(400, "Please take another name")
"""Tells a client of the protocol that it cannot be called so."""


def add_chat(hub: Hub, taken: Container[str] = ()) -> None:
    """Let everybody into the chat's rooms, to write, and to edit and delete what they wrote.

    Args:
        hub: has these rooms then.
        taken: patterns that it has already. What an operator says of the chat's own ones counts.
    """
    if ROOMS not in taken:
        _add_rooms(hub)
    if TYPING_ROOMS not in taken:
        _add_typing(hub)
    _add_methods(hub)


def _add_rooms(hub: Hub) -> None:
    rooms = hub.room(
        ROOMS,
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
        room: str, me: Client, name: Name = "anonymous", key: Annotated[Key | None, Body(embed=True)] = None
    ) -> dict[str, str]:
        """Others see the name and the author with which a connection came into its first room."""
        author = author_of(key) if key else ""
        is_known = any(not room.startswith(TYPING) for room in me.rooms)
        changed = is_known and me.info != {"name": name, "author": author}
        if changed or looks(name) in ("", SYSTEM):
            raise CommandFailed(NAME_TAKEN)
        me.info = {"name": name, "author": author}
        return {"author": author}

    @rooms.on_message
    async def say(room: str, me: Client, text: Text) -> dict[str, str]:
        """For clients that know nothing of ids: theirs cannot be edited."""
        _check_inside(hub, me, room)
        return {"from": name_in(me.info), "text": text}


def _add_typing(hub: Hub) -> None:
    """Rooms without history: what is said in them is for those who look at this moment."""
    rooms = hub.room(TYPING_ROOMS, allow_subscribe=Allow.ANYONE)

    @rooms.on_message
    async def typing(room: str, me: Client) -> dict[str, str]:
        if TYPING + room not in me.rooms:
            raise Refused("Come in first")
        _check_inside(hub, me, room)
        return {"name": name_in(me.info), "author": author_in(me.info)}


def _add_methods(hub: Hub) -> None:
    @hub.rpc("chat.say")
    async def say(me: Client, room: Room, id: Annotated[Suffix, Body(embed=True)], text: Text) -> None:
        """Publish a message, once, however often a client that heard no answer says it again."""
        _check_inside(hub, me, room)
        if not author_in(me.info):
            raise Refused("Come in with a key")
        known_as = message_id(author_in(me.info), id)
        message = {"from": name_in(me.info), "text": text}
        await hub.broadcast_to_room(CHAT + room, message, tags={"id": known_as}, idempotency_key=known_as)

    @hub.rpc("chat.edit")
    async def edit(me: Client, room: Room, id: Annotated[MessageId, Body(embed=True)], text: Text) -> None:
        """Give one's own message another text. The history has that in place of what it was before."""
        _check_own(hub, me, room, id)
        texts = await _texts(hub, room, id)
        if not texts:
            raise Refused("It is not there any more")
        edited = {"from": name_in(me.info), "text": text}
        tags = {"edit": id, **_origin(texts[0])}
        made = await hub.broadcast_to_room(CHAT + room, edited, tags=tags)
        await _erase(hub, room, id, made.position)

    @hub.rpc("chat.delete")
    async def delete(me: Client, room: Room, id: Annotated[MessageId, Body(embed=True)]) -> None:
        """Take one's own message back: pages do not show it any more, and the history forgets its text."""
        _check_own(hub, me, room, id)
        notice = {"from": SYSTEM, "text": f"{name_in(me.info)} deleted a message"}
        key = f"delete {id}"  # the page asks again if it hears no answer
        made = await hub.broadcast_to_room(CHAT + room, notice, tags={"delete": id}, idempotency_key=key)
        await _erase(hub, room, id, made.position)


async def _texts(hub: Hub, room: str, id: str) -> list[Publication]:
    """What the history has of a message, oldest first: as it was said, or edited."""
    page = await hub.history(CHAT + room)
    return [one for one in page.publications if id in ((one.tags or {}).get(tag) for tag in ("id", "edit"))]


def _origin(text: Publication) -> dict[str, str]:
    """Where and when a message was said at first. Its edits stand there, for those who come later, too."""
    tags = text.tags or {}
    if "edit" in tags:
        return {name: tags[name] for name in ("place", "said") if name in tags}
    place = text.position.offset if text.position else 0
    return {"place": str(place), "said": str(int(text.time * 1000))}


async def _erase(hub: Hub, room: str, id: str, newest: Position | None) -> None:
    """Take a message's texts out of the history but for the newest, if that is one."""
    for position in [one.position for one in await _texts(hub, room, id)]:
        if position is not None and position != newest:
            await hub.erase(CHAT + room, position.offset, epoch=position.epoch)


def _check_inside(hub: Hub, me: Connection, room: str) -> None:
    """A file of settings may have given the room to others: then its own permissions count."""
    options = hub.options(CHAT + room)
    if CHAT + room not in me.rooms or options is None or options.allow_publish is not Allow.ANYONE:
        raise Refused("Come in first")


def _check_own(hub: Hub, me: Connection, room: str, id: str) -> None:
    _check_inside(hub, me, room)
    if not wrote(author_in(me.info), id):
        raise Refused("It is not your message")


def name_in(info: object) -> str:
    """The name in what is known of a connection."""
    return str(info.get("name", "")) if isinstance(info, dict) else ""


def author_in(info: object) -> str:
    """The author in what is known of a connection; empty for none."""
    return str(info.get("author", "")) if isinstance(info, dict) else ""


def looks(name: str) -> str:
    """How a name looks to people: without case, blanks, invisible characters and other forms of a letter."""
    letters = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in letters if letter.isprintable() and not letter.isspace())
