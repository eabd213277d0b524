"""The gateway's handlers for an application: its functions where there are some, else tokens and options."""

from typing import TYPE_CHECKING

from hubbub.application.needs import needing_fastapi
from hubbub.application.rooms import JOIN, LEAVE, MESSAGE, RoomHandlers
from hubbub.centrifuge.errors import ErrorCode
from hubbub.core.messages import Payload
from hubbub.core.patterns import Patterns
from hubbub.gateway.handlers import CommandFailed, Draft, Grant, Visitor
from hubbub.gateway.later import Maybe
from hubbub.gateway.standard import StandardHandlers
from hubbub.gateway.tokens import TokenVerifier
from hubbub.hub import Hub
from hubbub.hub.parts import Parts

if TYPE_CHECKING:  # FastAPI is needed only where there are handlers
    from hubbub.application.events import Events


class Functions:
    """An application's functions for events: made when the first is registered, as it needs FastAPI.

    Args:
        hub: they end with it.
    """

    __slots__ = ("_events", "methods", "patterns", "rooms")

    def __init__(self, hub: Hub) -> None:
        self._events: Events | None = None
        hub.companions.append(self)
        self.rooms: Patterns[RoomHandlers] = Patterns()
        self.patterns: set[str] = set()
        self.methods: set[str] = set()

    def events(self) -> "Events":
        """Where they are. Raises `ConfigurationError` without FastAPI."""
        if self._events is None:
            with needing_fastapi("a handler of events"):
                from hubbub.application.events import Events

            self._events = Events()
        return self._events

    async def begin(self, parts: Parts) -> None:
        """The hub begins: there is nothing to do."""

    async def end(self) -> None:
        """The hub ends."""
        if self._events is not None:
            await self._events.finish()


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
        handlers = self._that_handle(room, JOIN)
        if token or handlers is None:
            return super().may_subscribe(visitor, room, token, data)
        self._permissions.options(visitor, room)  # a personal room is nobody else's, whatever `on_join` says
        return self._join(handlers.path(JOIN, room), visitor, data)

    async def _join(self, path: str, visitor: Visitor, data: Payload | None) -> Grant:
        return Grant(data=await self._functions.events().call(path, visitor, data))

    def may_publish(self, visitor: Visitor, room: str, data: Payload) -> Maybe[Payload | Draft]:
        """By the room's `on_message`, or by its options."""
        handlers = self._that_handle(room, MESSAGE)
        if handlers is None:
            return super().may_publish(visitor, room, data)
        self._permissions.options(visitor, room)
        return self._publish(handlers.path(MESSAGE, room), visitor, data)

    async def _publish(self, path: str, visitor: Visitor, data: Payload) -> Payload:
        changed = await self._functions.events().call(path, visitor, data)
        return data if changed is None else changed

    def left(self, visitor: Visitor, room: str) -> Maybe[None]:
        """Tell the room's `on_leave`."""
        handlers = self._that_handle(room, LEAVE)
        return None if handlers is None else self._leave(handlers.path(LEAVE, room), visitor)

    async def _leave(self, path: str, visitor: Visitor) -> None:
        await self._functions.events().call(path, visitor)

    def rpc(self, visitor: Visitor, method: str, data: Payload | None) -> Maybe[Payload | None]:
        """Call the application's method; 104 if it has none of that name."""
        if method not in self._functions.methods:
            raise CommandFailed(ErrorCode.METHOD_NOT_FOUND)
        return self._functions.events().call(f"/rpc/{method}", visitor, data)

    def _that_handle(self, room: str, event: str) -> RoomHandlers | None:
        """Those of the room's pattern, if they handle such an event."""
        handlers = self._functions.rooms.find(room)
        return handlers if handlers is not None and handlers.handles(event) else None
