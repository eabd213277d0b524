"""What a hub publishes, and what its rooms remember."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from hubbub.brokers import HistoryPage
from hubbub.connection import Connection
from hubbub.core.errors import BrokerError, ConfigurationError, HubNotRunning
from hubbub.core.limits import Limits
from hubbub.core.messages import Publication, check_text, to_payload
from hubbub.core.options import RoomOptions, RoomPatterns
from hubbub.core.positions import Position
from hubbub.core.publishers import check_publisher
from hubbub.core.rooms import Rooms
from hubbub.core.stats import Stats
from hubbub.hub.connections import EVERYONE
from hubbub.hub.fanout import Fanout
from hubbub.hub.life import Life
from hubbub.hub.listening import Listener
from hubbub.hub.measured_broker import MeasuredBroker
from hubbub.hub.memberships import Memberships

ELSEWHERE: Final = (
    "The hub runs in another event loop: in an endpoint that is not async, use anyio.from_thread.run(...),"
    " in a thread of your own asyncio.run_coroutine_threadsafe(..., loop)"
)
"""What whoever publishes in a loop of their own is told: members would hear nothing, or only later."""


class Publishing:
    """The part of a hub that gives messages to the broker, and gets from it what others said."""

    limits: Limits
    stats: Stats
    _broker: MeasuredBroker
    _rooms: Rooms[Connection]
    _patterns: RoomPatterns
    _options: Callable[[str], RoomOptions]
    _fanout: Fanout
    _members: Memberships
    _life: Life | None

    async def broadcast(self, message: object, *, idempotency_key: str | None = None) -> Publication:
        """Send to every connection, on every node. Returns, and raises, like `broadcast_to_room`."""
        return await self._publish(EVERYONE, message, idempotency_key=idempotency_key)

    async def broadcast_to_room(
        self,
        room: str,
        message: object,
        *,
        key: str | None = None,
        publisher: str | None = None,
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Publication:
        """Publish to the room: returns when the broker has accepted it, not when members have read it.

        Args:
            room: its name.
            message: `str` for a text frame, `bytes` for a binary one, anything else becomes JSON text.
            key: with `Overflow.KEEP_NEWEST`, what the message replaces and is replaced by.
            publisher: who says it, kept with the publication.
            tags: what there is to say about it besides.
            idempotency_key: publish only if no other publish to this room had the same key in the last five
                minutes. After an error the same call can be made again without doubling anything.

        Raises:
            InvalidRoomName: if the name breaks the rule.
            BrokerError: if the broker did not take it; then it was not published.
            TypeError: if the message cannot be written as JSON.
            InvalidMessage: if a text, of the message or about it, is not valid Unicode.
        """
        if room == EVERYONE or self._rooms.get(room) is None:  # its members came by a checked name
            self.limits.check_room_name(room)
        if publisher is not None:
            check_text(publisher)
            check_publisher(publisher)
        if key is not None:
            check_text(key)
        if tags is not None:
            check_text(*tags, *tags.values())
        return await self._publish(room, message, key, publisher, tags, idempotency_key)

    @asynccontextmanager
    async def listen(self, room: str, *, since: Position | None = None) -> AsyncIterator[Listener]:
        """Hear a room in Python code, without being a member of it::

            async with hub.listen("orders") as publications:
                async for publication in publications: ...

        Args:
            room: its name.
            since: what was seen of it. All that followed comes first, or, if that is not all kept any more,
                nothing of it: `Listener.recovered` says which. `BEGINNING` for all that the room has.

        Raises, when entered:
            InvalidRoomName: if the name breaks the rule.
            BrokerError: if the broker does not answer.
            HubNotRunning: outside the lifespan.
        """
        self.limits.check_room_name(room)
        if self._life is None:
            raise HubNotRunning
        async with self._members.listeners.listen(room, since) as listener:
            yield listener

    async def history(
        self, room: str, *, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> HistoryPage:
        """Read what the room remembers.

        Args:
            room: its name.
            since: only what came after; None for all that is kept.
            limit: most publications returned; 0 for the position alone.
            reverse: newest first; not together with `since`.

        Raises:
            ConfigurationError: if the room keeps no history, for `since` with `reverse`, or a negative limit.
            HistoryGone: if not all that followed `since` is kept.
            BrokerError: if the broker could not be asked.
        """
        history = self._patterns.options(room).history
        if history is None or (since is not None and reverse):
            raise ConfigurationError("The room keeps no history" if history is None else "since or reverse")
        if limit is not None and limit < 0:
            raise ConfigurationError("limit cannot be negative")
        return await self._broker.history(room, history, since=since, limit=limit, reverse=reverse)

    async def erase(self, room: str, offset: int, *, epoch: str | None = None) -> bool:
        """Take one publication out of what the room remembers, for good: no history and no resume has it.

        Its offset is not given again, and whoever resumes across it is complete without it. Members that were
        sent it are not told: publish a message of your own for that.

        Args:
            room: its name.
            offset: of the publication.
            epoch: of the publication; None for the room's present one.

        Returns whether it was there; False if it is forgotten already, or was erased before.

        Raises:
            ConfigurationError: if the room keeps no history.
            InvalidRoomName: if the name breaks the rule.
            HubNotRunning: outside the lifespan.
            BrokerError: if the broker did not do it, or if that is not known. Asking again is safe.
        """
        self.limits.check_room_name(room)
        history = self._patterns.options(room).history
        if self._life is None:
            raise HubNotRunning
        if history is None:
            raise ConfigurationError("The room keeps no history")
        return await self._life.erasing.erase(room, history, epoch, offset)

    async def remove_history(self, room: str) -> None:
        """Forget what the room remembers; its offsets go on. Raises `BrokerError`."""
        self.limits.check_room_name(room)
        await self._broker.remove_history(room)

    async def claim(self, key: str, seconds: float) -> bool:
        """True for the first caller on any node within so many seconds: for things to be used only once."""
        return await self._broker.claim(key, seconds)

    def flush(self) -> None:
        """Write what was published in this turn of the event loop; at its end that happens by itself."""
        self._fanout.flush()

    async def _publish(
        self,
        room: str,
        message: object,
        key: str | None = None,
        publisher: str | None = None,
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Publication:
        """The hot path of a publication. Past `MeasuredBroker`, which would be one more coroutine."""
        if self._life is None:
            raise HubNotRunning
        if asyncio.get_running_loop() is not self._life.loop:
            raise HubNotRunning(ELSEWHERE)
        here = self._rooms.get(room)
        options = self._options(room) if here is None else here.options
        begin = time.perf_counter() if self._broker.waits else 0.0
        try:
            publication = await self._broker.measured.publish(
                room,
                to_payload(message),
                history=options.history,
                publisher=publisher,
                key=key,
                tags=tags,
                idempotency_key=idempotency_key,
            )
        except BrokerError:
            self.stats.broker_errors += 1
            raise
        self.stats.published += 1
        if begin:
            self.stats.publishing.observe(time.perf_counter() - begin)
        if self._fanout.full:
            await asyncio.sleep(0)
        return publication
