"""Comparing where followed rooms stand with the stream: finds what was lost although the connection stood."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Final

from hubbub.brokers.followed import FollowedRooms
from hubbub.brokers.nats.rooms import HeardRooms
from hubbub.brokers.nats.session import Session

INTERVAL: Final = 1.0
"""Seconds between comparisons of a room from which nothing came."""

ROOMS: Final = 1_000
"""Rooms compared with one request; the server takes 1,024."""

BYTES: Final = 131_072
"""Bytes of room names in one request."""

RENEWAL: Final = 21_600.0
"""Seconds between renewals of what says that a room is empty."""

AT_ONCE: Final = 64
"""Rooms asked for one by one at the same time."""

_logger = logging.getLogger("hubbub")


class Comparing:
    """Compares positions; one of it lives as long as the broker runs.

    A request names up to `ROOMS` rooms and a place of the stream, and only rooms written to after that place
    are answered. Rooms of which something came since the last time are left out: they see a gap themselves.
    So the place is that of the time before the last, when such a room was compared or active.
    """

    def __init__(self, followed: FollowedRooms, heard: HeardRooms) -> None:
        self._followed = followed
        self._heard = heard
        self._stream = ""
        self._places = (0, 0)  # of the stream, at the time before the last and at the last
        self._renewed = asyncio.get_running_loop().time()

    async def settle(self, session: Session) -> None:
        """Before anything is heard or published on a new connection: begin anew what the server has lost.

        That is if the stream is another one, or was set back to older data. `all` sees then where the rooms
        stand.
        """
        self._heard.active.clear()
        store, known = session.store, session.streams.history == self._stream
        if known and not await store.set_back():
            return
        if known:
            _logger.error("the NATS server was set back to older data; rooms that lost some begin anew")
        store.doubt()
        await self._each(session, self._followed.names)
        store.begin_again()
        self._stream, self._places = session.streams.history, (0, 0)

    async def all(self, session: Session) -> None:
        """Compare all rooms, as after a reconnect."""
        await self._compare(session, self._followed.names)

    async def idle(self, session: Session) -> None:
        """Compare the rooms of which nothing came since the last time."""
        active = set(self._heard.active)
        self._heard.active.clear()
        await self._compare(session, [one for one in self._followed.names if one not in active])
        now = asyncio.get_running_loop().time()
        if now - self._renewed >= RENEWAL:
            self._renewed = now
            for name in self._followed.names:
                position = self._followed.position(name)
                if position is not None and position.offset == 0:
                    await session.store.renew(name)

    async def _compare(self, session: Session, names: Sequence[str]) -> None:
        since, place = self._places[0], self._places[1]
        parts = list(_parts(names))
        for part in parts:
            up_to, positions = await session.store.changed(part, since)
            for name, position in positions:
                self._followed.seen(name, position)
            place = up_to if part is parts[0] else min(place, up_to)
            if len(parts) > 1:
                await asyncio.sleep(INTERVAL / 2 / len(parts))
        self._places = (self._places[1], place)

    async def _each(self, session: Session, names: Sequence[str]) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def restart(name: str) -> None:
            async with turns:
                position = self._followed.position(name)
                if position is not None:
                    await session.store.restart(name, position)

        results = await asyncio.gather(*map(restart, names), return_exceptions=True)
        for result in results:
            if result is not None:
                raise result


def _parts(names: Sequence[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for name in names:
        if part and (len(part) == ROOMS or size + 3 * len(name) > BYTES):
            yield part
            part, size = [], 0
        part.append(name)
        size += 3 * len(name)
    if part:
        yield part
