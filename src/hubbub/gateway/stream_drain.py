"""The end of streams when their server stops: it waits for responses to end, and tells nobody so."""

from typing import Final, Protocol

from hubbub.asgi.events import Scope
from hubbub.connection import Connection
from hubbub.core.timers import Timer
from hubbub.gateway.service import SHUTDOWN
from hubbub.hub.clock import Clock

DRAIN: Final = "hubbub.drain"
"""Where `hubbub.uvicorn`'s runner says in the lifespan state that it stops."""

LOOK_INTERVAL: Final = 0.25
"""Seconds between looks, while there are streams."""


class Drain(Protocol):
    """What the runner offers."""

    @property
    def active(self) -> bool:
        """Whether the server is about to stop."""
        ...


class StreamDrain:
    """Ends all streams once their server drains. On other servers than the runner's it does nothing."""

    __slots__ = ("_clock", "_drain", "_streams", "_timer")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._drain: Drain | None = None
        self._streams: set[Connection] = set()
        self._timer: Timer | None = None  # None while there are no streams

    def add(self, scope: Scope, connection: Connection) -> None:
        """A stream has begun."""
        self._drain = (scope.get("state") or {}).get(DRAIN)
        self._streams.add(connection)
        if self._timer is None and self._drain is not None:
            self._timer = self._clock.after(LOOK_INTERVAL, self._look)

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        self._streams.discard(connection)

    def _look(self) -> None:
        self._timer = None
        if self._drain is not None and self._drain.active:
            for connection in list(self._streams):
                connection.end(*SHUTDOWN)
        if self._streams:
            self._timer = self._clock.after(LOOK_INTERVAL, self._look)
