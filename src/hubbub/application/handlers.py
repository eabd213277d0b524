"""The gateway's handlers for an application: its functions where there are some, else tokens and options."""

from typing import TYPE_CHECKING

from hubbub.application.rooms import JOIN, LEAVE, MESSAGE, RoomHandlers
from hubbub.centrifuge.errors import ErrorCode
from hubbub.core.messages import Payload
from hubbub.core.patterns import Patterns
from hubbub.gateway.handlers import CommandFailed, Grant, Visitor
from hubbub.gateway.later import Maybe
from hubbub.gateway.standard import StandardHandlers
from hubbub.gateway.tokens import TokenVerifier
from hubbub.hub import Hub

if TYPE_CHECKING:  # FastAPI is needed only where there are handlers
    from hubbub.application.events import Events


class Functions:
    """An application's functions for events: made when the first is registered, as it needs FastAPI."""

    __slots__ = ("_events", "methods", "rooms")

    def __init__(self) -> None:
        self._events: Events | None = None
        self.rooms: Patterns[RoomHandlers] = Patterns()
        self.methods: set[str] = set()

    def events(self) -> "Events":
        """Where they are."""
        if self._events is None:
            from hubbub.application.events import Events

            self._events = Events()
        return self._events


class AppHandlers(StandardHandlers):
    """Functions of an application first, tokens and options where it has none.

    Args:
        hub: knows the rooms' options.
        functions: the application's.
        tokens: checks connection tokens.
        subscription_tokens: checks subscription tokens; `tokens` unless given.
        anonymous: let clients in that show no token.
        personal_room: a name like ``"user:{id}"``: every user's connections are in the user's own room.
    """

    __slots__ = ("_functions",)

    def __init__(
        self,
        hub: Hub,
        functions: Functions,
        tokens: TokenVerifier | None = None,
        *,
        subscription_tokens: TokenVerifier | None = None,
        anonymous: bool = False,
        personal_room: str | None = None,
    ) -> None:
        super().__init__(
            hub,
            tokens,
            subscription_tokens=subscription_tokens,
            anonymous=anonymous,
            personal_room=personal_room,
        )
        self._functions = functions

    def may_subscribe(self, visitor: Visitor, room: str, token: str, data: Payload | None) -> Maybe[Grant]:
        """By a token for the room, by the room's `on_join`, or by its options."""
        if token or not self._handles(room, JOIN):
            return super().may_subscribe(visitor, room, token, data)
        self._permissions.options(visitor, room)  # a personal room is nobody else's, whatever `on_join` says
        return self._join(visitor, room, data)

    async def _join(self, visitor: Visitor, room: str, data: Payload | None) -> Grant:
        return Grant(data=await self._functions.events().call(f"/{JOIN}/{room}", visitor, data))

    def may_publish(self, visitor: Visitor, room: str, data: Payload) -> Maybe[Payload]:
        """By the room's `on_message`, or by its options."""
        if not self._handles(room, MESSAGE):
            return super().may_publish(visitor, room, data)
        self._permissions.options(visitor, room)
        return self._publish(visitor, room, data)

    async def _publish(self, visitor: Visitor, room: str, data: Payload) -> Payload:
        changed = await self._functions.events().call(f"/{MESSAGE}/{room}", visitor, data)
        return data if changed is None else changed

    def left(self, visitor: Visitor, room: str) -> Maybe[None]:
        """Tell the room's `on_leave`."""
        return self._leave(visitor, room) if self._handles(room, LEAVE) else None

    async def _leave(self, visitor: Visitor, room: str) -> None:
        await self._functions.events().call(f"/{LEAVE}/{room}", visitor)

    def rpc(self, visitor: Visitor, method: str, data: Payload | None) -> Maybe[Payload | None]:
        """Call the application's method; 104 if it has none of that name."""
        if method not in self._functions.methods:
            raise CommandFailed(ErrorCode.METHOD_NOT_FOUND)
        return self._functions.events().call(f"/rpc/{method}", visitor, data)

    def _handles(self, room: str, event: str) -> bool:
        handlers = self._functions.rooms.find(room)
        return handlers is not None and handlers.handles(event)
