"""Many members at once: some with envelopes, some with the official SDKs, in the same rooms."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Generic, Protocol, TypeAlias, TypeVar

from delivery_logs import ClientLog, Place
from members import Member
from sdk_members import SdkMember

COME_AT_ONCE = 20
"""Handshakes at the same time."""


class AnyMember(Protocol):
    """One client in one room, whatever it speaks."""

    base: str
    log: ClientLog
    place: Place | None
    pid: int
    losses: int
    """Times that it was in the room, and its connection ended without its wish."""

    @property
    def online(self) -> bool:
        """Whether it has joined, and the connection stands."""
        ...

    async def come(self, seconds: float = 20.0) -> None:
        """Connect, again and again if need be, and wait until it has joined."""

    async def go(self) -> None:
        """Vanish until it comes again."""

    async def again(self) -> None:
        """Go, forget everything, and come as if for the first time; perhaps to another process."""


M = TypeVar("M", bound=AnyMember)

Kind: TypeAlias = Callable[[str, str, str], AnyMember]
"""Makes a member from the server's address, the room and a name."""

MIXED: tuple[Kind, ...] = (Member, SdkMember, Member, partial(SdkMember, protobuf=True))
"""Envelopes, and the Python SDK with both of its codecs: the kinds of members in a room, in turn."""


class Crowd(Generic[M]):
    """Members of several rooms."""

    def __init__(self, members: Iterable[M]) -> None:
        self.members = list(members)

    @property
    def logs(self) -> list[ClientLog]:
        """What they have seen."""
        return [member.log for member in self.members]

    @property
    def processes(self) -> "Counter[int]":
        """How many members each process of the server has."""
        return Counter(member.pid for member in self.members)

    @property
    def losses(self) -> int:
        """Connections that ended without their wish."""
        return sum(member.losses for member in self.members)

    def move(self, base: str) -> None:
        """From now on they connect there."""
        for member in self.members:
            member.base = base

    async def come(self, seconds: float = 20.0) -> None:
        """All come; it returns when all have joined."""
        turns = asyncio.Semaphore(COME_AT_ONCE)

        async def come(member: M) -> None:
            async with turns:
                await member.come(seconds)

        await asyncio.gather(*map(come, self.members))

    async def spread(self, processes: int, seconds: float = 20.0) -> None:
        """Let the first one come again until so many processes of the server have members."""
        deadline = time.monotonic() + seconds
        while len(self.processes) < processes:
            assert time.monotonic() < deadline, f"all came to {self.processes}"
            await self.members[0].again()

    async def go(self) -> None:
        """All vanish."""
        await asyncio.gather(*(member.go() for member in self.members))

    async def reach(self, places: dict[str, Place], seconds: float = 20.0) -> None:
        """Wait until all are in their rooms, and as far as the room's place."""

        def behind() -> list[str]:
            return [
                f"{one.log.client} is at {one.place}, not {places[one.log.room]}"
                for one in self.members
                if not one.online
                or (one.log.room in places and not _at_least(one.place, places[one.log.room]))
            ]

        late = behind()
        deadline = time.monotonic() + seconds
        while late and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
            late = behind()
        assert not late, f"not within {seconds} s: {len(late)} members, like {late[:3]}"


def _at_least(place: Place | None, wanted: Place) -> bool:
    return place is not None and place.epoch == wanted.epoch and place.offset >= wanted.offset


@asynccontextmanager
async def crowd(
    base: str,
    rooms: Iterable[str],
    each: int,
    name: str = "member",
    processes: int = 1,
    kinds: Sequence[Kind] = MIXED,
) -> AsyncIterator[Crowd[AnyMember]]:
    """So many members in each room, at so many processes at least, until the end of the block."""
    made = Crowd(
        kinds[number % len(kinds)](base, room, f"{name} {number}") for room in rooms for number in range(each)
    )
    try:
        await made.come()
        await made.spread(processes)
        yield made
    finally:
        await made.go()
