"""Thousands of clients that come back by themselves, with a back-off and the position they had."""

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from delivery_logs import ClientLog, Gap, Joined, Place, Received
from lean_client import LeanClient, connect
from members import Message

AT_ONCE = 50
"""Handshakes at the same time when all come for the first time."""

FIRST_DELAY, LONGEST_DELAY = 0.5, 20.0
"""Seconds of the back-off: it doubles, and each time a random part of it is waited."""

_decode = msgspec.json.Decoder(Message).decode


class Closed(NamedTuple):
    """A connection ended without the client's wish."""

    time: float
    code: int
    port: int


class Resumer:
    """One client in one room.

    Args:
        ports: of the nodes; each time it takes one by chance, as a balancer does.
        room: what it joins.
        name: for the checker's words.
        longest: seconds of the back-off at most.
    """

    __slots__ = (
        "_arrived",
        "_client",
        "_joined",
        "_longest",
        "_lost",
        "_room",
        "_task",
        "closes",
        "log",
        "place",
        "ports",
    )

    def __init__(self, ports: Sequence[int], room: str, name: str, longest: float = LONGEST_DELAY) -> None:
        self.ports = ports
        self._longest = longest
        self.log = ClientLog(name, room)
        self.place: Place | None = None
        self.closes: list[Closed] = []
        self._room = room
        self._client: LeanClient | None = None
        self._joined = False
        self._arrived: asyncio.Event = asyncio.Event()
        self._lost: asyncio.Event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def online(self) -> bool:
        """Whether it is in the room."""
        return self._joined

    async def come(self) -> None:
        """Connect, and wait until it is in the room."""
        self._task = asyncio.create_task(self._stay())
        await asyncio.wait_for(self._arrived.wait(), 60)

    async def go(self) -> None:
        """Leave for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._client is not None and self._joined:
            self._client.transport.abort()
            await self._lost.wait()
        self._joined = False

    async def _stay(self) -> None:
        delay = FIRST_DELAY
        while True:
            port = random.choice(self.ports)
            self._lost.clear()
            try:
                self._client = await connect(port, self._path(), self._hear, self._ended)
            except (OSError, TimeoutError):
                delay = min(2 * delay, self._longest)
            else:
                delay = FIRST_DELAY
                await self._lost.wait()
                self._joined = False
                self.closes.append(Closed(time.monotonic(), self._client.code, port))
            await asyncio.sleep(random.uniform(0, delay))

    def _path(self) -> str:
        query = {"room": self._room}
        if self.place is not None:
            query |= {"epoch": self.place.epoch, "offset": str(self.place.offset)}
        return f"/ws?{urlencode(query)}"

    def _ended(self, code: int) -> None:
        self._lost.set()

    def _hear(self, text: bytes) -> None:
        message = _decode(text)
        if message.type == "hello":
            return
        now, place = time.monotonic(), Place(message.epoch, message.offset)
        if message.type == "publication" and message.data is not None:
            data = message.data
            self.log.events.append(Received(now, place, data.room, data.publisher, data.sequence))
            self.place = place
        elif message.type == "joined":
            self.log.events.append(Joined(now, place, message.recovered))
            self.place = self.place if message.recovered else place
            self._joined = True
            self._arrived.set()
        elif message.type == "gap":
            self.log.events.append(Gap(now, place))
            self.place = place
        else:
            raise AssertionError(f"{self.log.client} was told {text!r}")


class Resumers:
    """All of them."""

    def __init__(self, members: Iterable[Resumer]) -> None:
        self.members = list(members)

    @property
    def logs(self) -> list[ClientLog]:
        """What they have seen."""
        return [member.log for member in self.members]

    @property
    def away(self) -> int:
        """How many are not in their rooms."""
        return sum(not member.online for member in self.members)

    async def come(self) -> None:
        """All come; it returns when all are in their rooms."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def come(member: Resumer) -> None:
            async with turns:
                await member.come()

        await asyncio.gather(*map(come, self.members))

    async def go(self) -> None:
        """All leave."""
        await asyncio.gather(*(member.go() for member in self.members))

    async def all_back(self, seconds: float) -> float:
        """Wait until all are in their rooms; return the seconds it took."""
        started = time.monotonic()
        while self.away:
            waited = time.monotonic() - started
            assert waited < seconds, f"{self.away} are not back after {waited:.1f} s"
            await asyncio.sleep(0.02)
        return time.monotonic() - started

    async def reach(self, places: dict[str, Place], seconds: float) -> None:
        """Wait until all are as far as the place of their room."""
        deadline, behind = time.monotonic() + seconds, self.members
        while behind := [one for one in behind if not _reached(one.place, places.get(one.log.room))]:
            assert time.monotonic() < deadline, (
                f"{len(behind)} are behind, one at {behind[0].place}, not {places[behind[0].log.room]}"
            )
            await asyncio.sleep(0.05)


def _reached(place: Place | None, wanted: Place | None) -> bool:
    return wanted is None or (
        place is not None and place.epoch == wanted.epoch and place.offset >= wanted.offset
    )
