"""Who may do what in which room, by the room's options."""

import re
from typing import Final

from hubbub.centrifuge.errors import ErrorCode
from hubbub.core.errors import ConfigurationError, InvalidRoomName, Refused
from hubbub.core.options import Allow, RoomOptions
from hubbub.core.users import User
from hubbub.gateway.handlers import CommandFailed, Grant, Visitor
from hubbub.hub import Hub

_USER: Final = "{id}"
_ANYONE: Final = Allow.ANYONE


class PersonalRooms:
    """One room for each user, to which all connections of the user are subscribed without asking.

    Args:
        template: a name with ``{id}`` in place of the user's id, like ``"user:{id}"``.

    Raises:
        ConfigurationError: if it has not exactly one ``{id}``, or nothing else, or what no room's name has.
    """

    __slots__ = ("_hub", "_pattern", "_template")

    def __init__(self, hub: Hub, template: str) -> None:
        if template.count(_USER) != 1 or template == _USER:
            raise ConfigurationError("A personal room's name looks like 'user:{id}'")
        try:
            hub.limits.check_room_name(template.replace(_USER, "0"))
        except InvalidRoomName as error:
            raise ConfigurationError(f"No user can have the personal room {template!r}: {error}") from None
        head, _, tail = template.partition(_USER)
        self._hub = hub
        self._template = template
        self._pattern = re.compile(f"{re.escape(head)}.+{re.escape(tail)}")

    def of(self, user: User | None) -> str | None:
        """The user's room; None for nobody, and for an id that no room's name can have in it."""
        if user is None:
            return None
        name = self._template.replace(_USER, user.id)
        try:
            self._hub.limits.check_room_name(name)
        except InvalidRoomName:
            return None
        return name

    def __contains__(self, room: str) -> bool:
        return self._pattern.fullmatch(room) is not None


class Permissions:
    """Compares a room's `Allow` with what a client is.

    Args:
        hub: knows the rooms' options.
        personal: rooms into which only their user may.
    """

    __slots__ = ("_hub", "_personal")

    def __init__(self, hub: Hub, personal: PersonalRooms | None = None) -> None:
        self._hub = hub
        self._personal = personal

    def options(self, visitor: Visitor, room: str) -> RoomOptions:
        """The options of a room that the client may know of.

        Raises:
            CommandFailed: 102, if the name fits no pattern.
            Refused: if it is the personal room of somebody else.
        """
        mine = False
        if self._personal is not None and room in self._personal:
            mine = room == self._personal.of(visitor.connection.user)
            if not mine:
                raise Refused("This is somebody else's room")
        options = self._hub.options(room)
        if options is None and mine:
            return RoomOptions()
        if options is None:
            raise CommandFailed(ErrorCode.UNKNOWN_CHANNEL)
        return options

    def check(self, allow: Allow, visitor: Visitor, room: str) -> None:
        """Raise `Refused` unless the client is one of those who may."""
        if not permits(allow, visitor.connection.user, visitor.grant(room)):
            raise Refused(f"Allowed for {allow.value}")


def permits(allow: Allow, user: User | None, grant: Grant | None) -> bool:
    """Whether somebody may: a user, or nobody, with a subscription to the room, or without."""
    if allow is _ANYONE:
        return True
    match allow:
        case Allow.USER:
            return user is not None
        case Allow.SUBSCRIBER:
            return grant is not None
        case Allow.TOKEN:
            return grant is not None and grant.by_token
    return False
