"""What a connection asks of its transport, whichever it is."""

from collections.abc import Coroutine
from typing import Any, Protocol

from hubbub.asgi.frames import FrameWriter
from hubbub.core.errors import Disconnected
from hubbub.core.messages import Payload
from hubbub.core.outbox import Codec, Outgoing


class Transport(Protocol):
    """How bytes reach one client, and messages come from it. What it tells goes to its `Listener`."""

    @property
    def codec(self) -> Codec:
        """How publications are written for this client now."""
        ...

    @property
    def handle(self) -> Any:
        """What the codec writes to."""
        ...

    @property
    def frames(self) -> FrameWriter | None:
        """The server's frame writer; None where there is none."""
        ...

    @property
    def closed(self) -> Disconnected | None:
        """How it ended; None while open."""
        ...

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client, as far as this process knows."""
        ...

    @property
    def queued_most(self) -> int:
        """Most bytes that have ever waited in the outbox."""
        ...

    @property
    def busy_since(self) -> float | None:
        """Loop time since when the client has taken nothing of what waits; None while nothing waits."""
        ...

    @property
    def backlogged(self) -> bool:
        """Messages of the client wait for the handler and nothing more is read."""
        ...

    def write(self, batch: Any) -> None:
        """Queue what the codec joined, without waiting. A client that is too slow for it is reported."""
        ...

    def write_rest(self, rest: Any) -> None:
        """Write what the codec's `deliver` left over."""
        ...

    async def send(self, item: Outgoing[Any]) -> None:
        """Send one message, in order with `write`; wait while the client is slow. Raises `Disconnected`."""
        ...

    def receive(self) -> Coroutine[Any, Any, Payload]:
        """The next message. Raises `Disconnected` when there will be none any more."""
        ...

    def read_ahead(self) -> None:
        """See the client's end from now on also while nobody receives."""
        ...

    def close(self, code: int, reason: str = "", *, discard: bool = False) -> None:
        """Close after what is queued, or with `discard` in place of it. Does not wait; `finish` does."""
        ...

    async def finish(self) -> None:
        """Wait until all is with the server, `Limits.close_timeout` seconds at most."""
        ...

    def abort(self) -> None:
        """Give up whatever has not been sent."""
        ...

    def ended(self) -> Disconnected:
        """How it ended, as an exception to raise. A new one each time: each has its own traceback."""
        ...
