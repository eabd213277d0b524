"""Whoever is told what happens on a transport."""

from typing import Protocol

from hubbub.core.errors import Disconnected
from hubbub.core.messages import Payload


class Listener(Protocol):
    """What a transport tells. Called on the loop's thread; must not raise."""

    def received(self, payload: Payload) -> bool:
        """A message has come; False keeps it from the handler."""
        ...

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
