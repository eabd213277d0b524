"""Whoever is told what happens on a transport, and on its sending side alone."""

from typing import Final, Protocol

from hubbub.core.errors import Disconnected
from hubbub.core.messages import Payload


class WriterListener(Protocol):
    """What the sending side of a connection tells. Called on the loop's thread; must not raise."""

    def regrouped(self) -> None:
        """The transport's codec and handle have changed."""
        ...

    def slow(self) -> None:
        """More waits for the client than its outbox holds."""
        ...

    def dropped(self, count: int) -> None:
        """So many messages were dropped by their rooms' policy."""
        ...

    def lost(self, cause: Disconnected) -> None:
        """The connection has ended, from either side. Called once."""
        ...


class Listener(WriterListener, Protocol):
    """What a transport tells."""

    def received(self, payload: Payload) -> bool:
        """A message has come; False keeps it from the handler."""
        ...


class Nobody:
    """In the place of a listener that was told of the end: nothing that happens later matters to it.

    A transport and its listener hold each other. With this one in its place they do not any more, so what has
    ended is freed at once, and not only when the garbage collector comes.
    """

    __slots__ = ()

    def received(self, payload: Payload) -> bool:
        """It came too late for a handler."""
        return False

    def regrouped(self) -> None:
        """Nothing is written to it."""

    def slow(self) -> None:
        """It is closed already."""

    def dropped(self, count: int) -> None:
        """Nothing waits for it."""

    def lost(self, cause: Disconnected) -> None:
        """That was told."""


NOBODY: Final = Nobody()
