"""A server's sending side, as it may behave, with a writer on it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hubbub import Disconnected
from hubbub.asgi.event_writer import EventWriter
from hubbub.asgi.events import EVENT_CODEC, Event
from hubbub.asgi.interrupt import Waits
from hubbub.asgi.pump import Pump
from hubbub.core.messages import Payload


class Ear:
    """Hears what a writer tells."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def received(self, payload: Payload) -> bool:
        raise AssertionError("not for a writer to say")

    def slow(self) -> None:
        self.told.append("slow")

    def dropped(self, count: int) -> None:
        self.told.append(count)

    def lost(self, cause: Disconnected) -> None:
        self.told.append((int(cause.code), cause.reason))


class Wire:
    """A server's sending side: sends at once, after a turn, or when it is let."""

    def __init__(self, behaviour: str = "at once") -> None:
        self.sent: list[object] = []
        self.open = asyncio.Event()
        self.ear = Ear()
        self.waits = Waits()
        self._lock = asyncio.Lock()
        self._behaviour = behaviour
        if behaviour != "when let":
            self.open.set()

    async def send(self, event: Event) -> None:
        if self._behaviour == "fails":
            raise ConnectionResetError
        if self._behaviour == "after a turn":
            async with self._lock, asyncio.timeout(5):
                await asyncio.sleep(0)
        await self.open.wait()
        self.sent.append(event.get("text", event.get("code")))

    def future(self, event: Event) -> Awaitable[None]:
        """A `send` that is no coroutine function: some servers return a future."""
        return asyncio.ensure_future(self.send(event))

    def writer(self, pump: Pump | None = None, limit: int = 200_000) -> EventWriter:
        send: Callable[[Any], Any] = self.future if self._behaviour == "a future" else self.send
        return EventWriter(send, limit, self.waits, self.ear, pump or Pump())


def items(*texts: str) -> list[Any]:
    return [EVENT_CODEC.encode(text) for text in texts]
