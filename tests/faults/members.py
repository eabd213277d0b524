"""Clients that write down all they see, and come back by themselves with the position they had."""

import asyncio
import random
import time
from urllib.parse import urlencode

import msgspec
from delivery_logs import ClientLog, Gap, Joined, Place, Received
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake


class Data(msgspec.Struct):
    """The payload of every publication of these tests."""

    publisher: str
    sequence: int
    room: str


class Message(msgspec.Struct):
    """Whatever the server says."""

    type: str
    room: str = ""
    epoch: str = ""
    offset: int = 0
    recovered: bool | None = None
    data: Data | None = None
    pid: int = 0


_decode = msgspec.json.Decoder(Message).decode


class Member:
    """One client in one room.

    Args:
        base: where the server is, like ``ws://127.0.0.1:8000``.
        room: what it joins.
        name: for the checker's words.
        user: who it is.
        place: where it comes back to; None for one that has not been there.
    """

    def __init__(
        self,
        base: str,
        room: str,
        name: str = "member",
        user: str | None = None,
        place: Place | None = None,
    ) -> None:
        self.base = base
        self.user = user
        self._first_place = place
        self.returns = True
        """Whether it comes back when its connection was lost."""

        self.log = ClientLog(name, room)
        self.place = place
        self._joined = asyncio.Event()
        self.pid = 0
        self.losses = 0
        """Times that it was in the room, and its connection ended without its wish."""

        self._task: asyncio.Task[None] | None = None

    @property
    def online(self) -> bool:
        """Whether it has joined, and the connection stands."""
        return self._joined.is_set()

    @property
    def received(self) -> int:
        """How many publications it got."""
        return sum(isinstance(event, Received) for event in self.log.events)

    async def come(self, seconds: float = 20.0) -> None:
        """Connect, again and again if need be, and wait until it has joined."""
        if self._task is None:
            self._task = asyncio.create_task(self._stay())
        joined = asyncio.create_task(self._joined.wait())
        await asyncio.wait([joined, self._task], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        joined.cancel()
        if self._task.done():
            self._task.result()
        assert self.online, f"{self.log.client} has not joined within {seconds} s"

    async def go(self) -> None:
        """Vanish until it comes again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    async def again(self) -> None:
        """Go, forget everything, and come as if for the first time; perhaps to another process."""
        await self.go()
        self.log.events.clear()
        self.place = self._first_place
        await self.come()

    async def _stay(self) -> None:
        wait = 0.05
        while True:
            try:
                await self._visit()
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed):
                wait = 0.05 if self.online else min(2 * wait, 1.0)
                self.losses += self.online
                if not self.returns:
                    return
            finally:
                self._joined.clear()
            await asyncio.sleep(random.uniform(0, wait))

    async def _visit(self) -> None:
        query = {"room": self.log.room}
        if self.user is not None:
            query["user"] = self.user
        if self.place is not None:
            query |= {"epoch": self.place.epoch, "offset": str(self.place.offset)}
        url = f"{self.base}/ws?{urlencode(query)}"
        async with connect(
            url, proxy=None, compression=None, ping_interval=None, max_queue=None, close_timeout=1
        ) as socket:
            while True:
                self._hear(await socket.recv(decode=False))

    def _hear(self, text: bytes | str) -> None:
        message = _decode(text)
        assert message.type == "hello" or message.room == self.log.room, text
        place = Place(message.epoch, message.offset)
        match message.type:
            case "publication":
                assert message.data is not None, text
                data = message.data
                self.log.events.append(
                    Received(time.monotonic(), place, data.room, data.publisher, data.sequence)
                )
                self.place = place
            case "joined":
                self.log.events.append(Joined(time.monotonic(), place, message.recovered))
                if not message.recovered:
                    self.place = place
                self._joined.set()
            case "gap":
                self.log.events.append(Gap(time.monotonic(), place))
                self.place = place
            case "hello":
                self.pid = message.pid
            case _:
                raise AssertionError(f"{self.log.client} was told {text!r}")
