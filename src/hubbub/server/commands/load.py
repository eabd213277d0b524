"""A load on a running server: clients in rooms that publish at a rate, bounded in number and in time."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from hubbub.server.commands.load_clients import WARM_UP, LoadClient, Marks, Speech, SpeechError
from hubbub.server.commands.load_figures import Histogram, Tally

AT_ONCE: Final = 20
"""Handshakes at the same time."""

PATIENCE: Final = 10.0
"""Seconds for a handshake, and for every client to hear of its room."""

SETTLING: Final = 5.0
"""Seconds after the last message for what is still under way."""

_TURN: Final = 0.002
"""Seconds between looks at what is due."""


class LoadError(Exception):
    """The load could not begin; the text says why."""


class Target(Protocol):
    """What the load is put on."""

    def url(self, room: int) -> str:
        """Where a client of this room connects."""

    def speech(self, room: int) -> Speech:
        """How a new client of this room talks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much."""

    rooms: int
    clients: int
    size: int
    rate: float
    seconds: float

    @property
    def messages(self) -> int:
        """How many messages there are in all."""
        return round(self.rate * self.seconds)

    @property
    def messages_of_a_room(self) -> int:
        """The most that one room has."""
        return math.ceil(self.messages / self.rooms)

    @property
    def deliveries(self) -> int:
        """About how many deliveries they make."""
        return math.ceil(self.messages * self.clients / self.rooms)


class Load:
    """One load.

    Args:
        plan: how much.
        target: on what.
        run: a name that sets it apart.
        told: called with a line for each step.
    """

    def __init__(self, plan: Plan, target: Target, run: str, told: Callable[[str], None]) -> None:
        self.plan = plan
        self.tally = Tally(plan.messages_of_a_room)
        self.clients: list[LoadClient] = []
        self.stopped = asyncio.Event()
        self.elapsed = 0.0
        """Seconds in which messages were sent."""

        self.lost = 0
        """Messages that clients who stayed to the end have not got."""

        self._marks = Marks(run, plan.size)
        self._target = target
        self._told = told

    async def run(self) -> None:
        """Connect, send, wait for what is under way, and leave.

        Raises:
            LoadError: if a client cannot come in.
        """
        async with self._all_here():
            await self._warm_up()
            await self._send()
            await self._settle()

    @asynccontextmanager
    async def _all_here(self) -> AsyncIterator[None]:
        self.clients = await self._connect_all()
        self._told(f"{len(self.clients)} clients in {self.plan.rooms} rooms")
        listeners = [asyncio.create_task(self._listen(one)) for one in self.clients]
        try:
            yield
        finally:
            for listener in listeners:
                listener.cancel()
            ended = await asyncio.gather(*listeners, return_exceptions=True)
            await _leave(self.clients)
        for end in ended:
            if isinstance(end, Exception):
                raise end

    async def _connect_all(self) -> list[LoadClient]:
        limit = asyncio.Semaphore(AT_ONCE)
        failed: list[Exception] = []

        async def come(number: int) -> LoadClient | None:
            async with limit:
                if failed or self.stopped.is_set():
                    return None
                try:
                    return await self._connect(number)
                except LoadError as error:  # those under way are let in, and then leave as one does
                    failed.append(error)
                    return None

        there = [one for one in await asyncio.gather(*map(come, range(self.plan.clients))) if one is not None]
        if len(there) == self.plan.clients:
            return there
        await _leave(there)
        raise failed[0] if failed else LoadError("stopped before all clients had come")

    async def _connect(self, number: int) -> LoadClient:
        room = number % self.plan.rooms
        speech = self._target.speech(room)
        try:
            socket = await _connected(self._target.url(room))
            try:
                async with asyncio.timeout(PATIENCE):
                    await speech.enter(socket)
            except BaseException:
                await socket.close()
                raise
        except (OSError, TimeoutError, WebSocketException, SpeechError) as error:
            raise LoadError(
                f"client {number + 1} of {self.plan.clients}: {str(error) or 'no answer'}"
            ) from error
        return LoadClient(number, room, socket, speech)

    async def _listen(self, client: LoadClient) -> None:
        try:
            await client.listen(self._marks, self.tally)
            self.tally.endings["1000"] += 1
        except ConnectionClosed as error:
            end = error.rcvd
            self.tally.endings[f"{end.code} {end.reason}".strip() if end else "connection lost"] += 1

    async def _warm_up(self) -> None:
        """Until each client has got a message of its room: then nobody is still on the way in."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        again = 0.0
        while waiting := {one.room: one for one in self.clients if not one.arrived}:
            self._check(deadline, len([one for one in self.clients if not one.arrived]))
            if loop.time() >= again:
                again = loop.time() + 1.0
                for one in waiting.values():
                    with suppress(ConnectionClosed):  # its listener tells
                        await one.say(self._marks.text(WARM_UP, 0))
            await asyncio.sleep(0.01)

    def _check(self, deadline: float, waiting: int) -> None:
        said = [*self.tally.refusals, *self.tally.endings]
        if said:
            raise LoadError(f"the server said: {said[0]}")
        if self.stopped.is_set():
            raise LoadError("stopped before all clients had come")
        if asyncio.get_running_loop().time() > deadline:
            heard = f"{waiting} of {len(self.clients)} clients heard nothing"
            raise LoadError(f"{heard}: does the server send what they say to their room?")

    async def _send(self) -> None:
        """Send each message when it is due. Its time counts from then, so that it is seen who holds it up."""
        began = time.perf_counter()
        try:
            # A server that reads no more holds a sender up for ever.
            async with asyncio.timeout(self.plan.seconds + SETTLING):
                await self._send_from(began)
        except TimeoutError:
            self._told("the server takes no more")
        self.elapsed = max(time.perf_counter() - began, _TURN)

    async def _send_from(self, began: float) -> None:
        sent, told = 0, 1
        while sent < self.plan.messages and not self.stopped.is_set() and self._somebody_is_left():
            now = time.perf_counter() - began
            while sent < min(self.plan.messages, math.floor(now * self.plan.rate) + 1):
                await self._send_one(sent, began + sent / self.plan.rate)
                sent += 1
            if now >= told:
                self._report(told, sent)
                told += 1
            await asyncio.sleep(_TURN)

    def _somebody_is_left(self) -> bool:
        return self.tally.endings.total() < len(self.clients)

    async def _send_one(self, index: int, due: float) -> None:
        room, number = index % self.plan.rooms, index // self.plan.rooms
        members = self.clients[room :: self.plan.rooms]
        client = members[number % len(members)]
        self.tally.sent[room] += 1
        try:
            await client.say(self._marks.text(number, int(due * 1e9)))
        except ConnectionClosed:
            self.tally.not_sent(room, number)

    def _report(self, second: int, sent: int) -> None:
        lately, self.tally.lately = self.tally.lately, Histogram()
        self._told(
            f"{second:4} s  {sent:>9,} sent  {lately.total:>9,} deliveries/s  "
            f"p50 {lately.percentile(0.5):8.2f} ms  p99 {lately.percentile(0.99):8.2f} ms"
        )

    async def _settle(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLING
        while (lost := self._missing()) and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        self.lost = lost

    def _missing(self) -> int:
        here = (one for one in self.clients if one.socket.close_code is None)
        return sum(self.tally.missing(one.number, one.room) for one in here)


async def _connected(url: str) -> ClientConnection:
    return await connect(
        url, proxy=None, compression=None, open_timeout=PATIENCE, ping_interval=None, close_timeout=1
    )


async def _leave(clients: Sequence[LoadClient]) -> None:
    try:
        async with asyncio.timeout(SETTLING):
            await asyncio.gather(*(one.socket.close() for one in clients))
    except TimeoutError:
        for one in clients:
            one.socket.transport.abort()
