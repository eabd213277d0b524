"""Those who want to know who comes into rooms with presence, and who goes."""

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from hubbub.core.presence import Present
from hubbub.core.presence_messages import Member
from hubbub.hub.background import Background
from hubbub.hub.presence import MemberMoved

Observer: TypeAlias = Callable[[str, Present], Awaitable[None] | None]
"""Called with the name of a room and the user; may be ``async``."""

_logger = logging.getLogger("hubbub")


class Observers:
    """Calls handlers, and owns the tasks of those that are asynchronous."""

    __slots__ = ("_background", "_joined", "_left", "_moved")

    def __init__(self) -> None:
        self._joined: list[Observer] = []
        self._left: list[Observer] = []
        self._moved: list[MemberMoved] = []
        self._background = Background("presence handlers")

    def add_joined(self, handler: Observer) -> Observer:
        """Call it when a user came."""
        self._joined.append(handler)
        return handler

    def add_left(self, handler: Observer) -> Observer:
        """Call it when a user went."""
        self._left.append(handler)
        return handler

    def add_moved(self, handler: MemberMoved) -> None:
        """Call it for each connection that came or went. It does not wait."""
        self._moved.append(handler)

    def joined(self, room: str, present: Present) -> None:
        """A user came."""
        self._tell(self._joined, room, present)

    def left(self, room: str, present: Present) -> None:
        """A user went."""
        self._tell(self._left, room, present)

    def moved(self, room: str, member: Member, came: bool) -> None:
        """A connection came or went."""
        for handler in self._moved:
            handler(room, member, came)

    async def stop(self) -> None:
        """Let handlers finish that are quick, and cancel the others."""
        await self._background.finish()

    def _tell(self, handlers: list[Observer], room: str, present: Present) -> None:
        for handler in list(handlers):
            try:
                result = handler(room, present)
            except Exception:  # a handler's failure must not keep the others from knowing
                _logger.exception("a presence handler failed")
                continue
            if inspect.isawaitable(result):
                self._background.run(_finish(result))


async def _finish(result: Awaitable[None]) -> None:
    await result
