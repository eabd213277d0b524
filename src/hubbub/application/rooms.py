"""Rooms whose names fit one pattern: what is done when a client joins, publishes or leaves."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:  # FastAPI is needed only where there are handlers
    from hubbub.application.events import Events

H = TypeVar("H", bound=Callable[..., Any])

JOIN: Final = "join"
MESSAGE: Final = "message"
LEAVE: Final = "leave"


class RoomHandlers:
    """What `Hub.room` returns. Its decorators take functions in FastAPI's style, like endpoints::

        chat = hub.room("chat:{name}", history=History(size=500))

        @chat.on_join
        async def may_come(name: str, me: Client, db: Annotated[Db, Depends(db)]) -> None:
            if not await db.is_member(me.user, name):
                raise Refused("You are not a member")

    The pattern's parameters are path parameters, the data is the body. They are called for clients of the
    Centrifuge protocol; in handlers of plain WebSockets you do the same yourself.

    Args:
        pattern: of the rooms' names.
        number: tells it from all others: names may fit several patterns, and the first one's handlers count.
        events: where the handlers go.
    """

    __slots__ = ("_events", "_handled", "_number", "pattern")

    def __init__(self, pattern: str, number: int, events: "Callable[[], Events]") -> None:
        self.pattern = pattern
        self._number = number
        self._events = events
        self._handled: set[str] = set()

    def handles(self, event: str) -> bool:
        """Whether there is a handler for "join", "message" or "leave"."""
        return event in self._handled

    def path(self, event: str, room: str) -> str:
        """Where the handler for an event is; `room` is a name, or the pattern."""
        return f"/{event}/{self._number}/{room}"

    def on_join(self, handler: H) -> H:
        """Decide whether a client may come in, in place of `allow_subscribe`, also when it comes back.

        It refuses by raising `Refused` or an `HTTPException`. What it returns is given to the client.
        """
        return self._add(JOIN, handler)

    def on_message(self, handler: H) -> H:
        """Decide what is published, in place of `allow_publish`.

        What it returns is published; None stands for what the client sent. It refuses by raising.
        """
        return self._add(MESSAGE, handler)

    def on_leave(self, handler: H) -> H:
        """Be told that a client has left."""
        return self._add(LEAVE, handler)

    def _add(self, event: str, handler: H) -> H:
        self._events().add(self.path(event, self.pattern), handler)
        self._handled.add(event)
        return handler
