"""Publishers over HTTP that write down what became of each publish."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain, cycle, takewhile
from typing import Any

import msgspec
from delivery_logs import Outcome, Place, Published

ANSWER_SECONDS = 15.0
"""Longest wait for an answer: longer than any timeout of a broker."""


class HttpLink:
    """One HTTP/1.1 connection that stays open, and is made anew when it was lost.

    Args:
        ports: where servers are, tried in turn.
    """

    def __init__(self, *ports: int) -> None:
        self._ports = cycle(ports)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, content: object = None) -> tuple[int, Any]:
        """Send a request with JSON; return the status and the JSON of the answer.

        Raises:
            OSError, EOFError, TimeoutError: if no whole answer came.
        """
        body = b"" if content is None else msgspec.json.encode(content)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", next(self._ports))
                reader, writer = self._streams
                writer.write(head.encode() + body)
                return await _answer(reader)
        except BaseException:
            self.close()
            raise

    async def connect(self) -> int:
        """Connect anew; return the process that it is connected to."""
        self.close()
        _, state = await self.request("GET", "/state")
        return int(state["pid"])

    def close(self) -> None:
        """Drop the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._streams = None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length:")[2].partition("\r\n")[0])
    return int(head.split(" ", 2)[1]), msgspec.json.decode(await reader.readexactly(length))


class Publisher:
    """Publishes one after the other, over a connection of its own.

    Args:
        ports: of the server, or of several with the same broker.
        name: no two publishers of a test have the same.
        insist: whether to send again, with the same idempotency key, until it was accepted.
    """

    def __init__(self, ports: Sequence[int], name: str, *, insist: bool = False) -> None:
        self.name = name
        self.insist = insist
        self.log: list[Published] = []
        self.pids: Counter[int] = Counter()
        self.slowest_failure = 0.0
        """Seconds until a publish that was not accepted was answered, at most."""

        self.retries = 0
        self.accepted = 0
        self._sending = 0.0
        self.sent: list[float] = []
        """When each publish was sent for the last time."""

        self._link = HttpLink(*ports)

    async def publish(self, room: str, padding: int = 0) -> Published:
        """Publish, with so many bytes besides, and write down the outcome."""
        sequence, started = len(self.log), time.monotonic()
        data = {"publisher": self.name, "sequence": sequence, "room": room, "padding": "." * padding}
        content = {"room": room, "data": data, "idempotency_key": f"{self.name} {sequence}"}
        place = await self._send(content)
        while place is None and self.insist:
            assert time.monotonic() < started + 4 * ANSWER_SECONDS, f"{self.name} is not heard"
            await asyncio.sleep(0.05)
            self.retries += 1
            place = await self._send(content)
        self.sent.append(self._sending)
        outcome = Outcome.UNKNOWN if place is None else Outcome.ACCEPTED
        places = () if place is None else (place,)
        self.log.append(Published(self.name, sequence, room, started, time.monotonic(), outcome, places))
        return self.log[-1]

    async def _send(self, content: object) -> Place | None:
        started = self._sending = time.monotonic()
        try:
            status, answer = await self._link.request("POST", "/publish", content)
        except (OSError, EOFError, TimeoutError):
            status, answer = 0, {}
        if status == 200:
            self.pids[answer["pid"]] += 1
            self.accepted += 1
            return Place(answer["epoch"], answer["offset"])
        assert status in (0, 503), (status, answer)
        self.slowest_failure = max(self.slowest_failure, time.monotonic() - started)
        return None

    async def connect(self) -> int:
        """Connect anew; return the process that it is connected to."""
        return await self._link.connect()

    def close(self) -> None:
        """Drop the connection."""
        self._link.close()


class Press:
    """Several publishers that publish at the same time, each to all rooms in turn."""

    def __init__(self, publishers: Sequence[Publisher], rooms: Sequence[str]) -> None:
        self.publishers = publishers
        self.rooms = rooms
        self.stopped = asyncio.Event()
        """Set it to end `run` early."""

    @property
    def log(self) -> list[Published]:
        """What became of every publish."""
        return [published for publisher in self.publishers for published in publisher.log]

    @property
    def accepted(self) -> int:
        """How many were."""
        return sum(publisher.accepted for publisher in self.publishers)

    @property
    def pids(self) -> "Counter[int]":
        """How many were accepted by each process of the server."""
        return sum((publisher.pids for publisher in self.publishers), Counter())

    def accepted_since(self, moment: float) -> set[str]:
        """The rooms in which a publish was accepted that was sent after that moment."""
        recent = (
            takewhile(lambda one: one.started > moment, reversed(publisher.log))
            for publisher in self.publishers
        )
        return {one.room for one in chain.from_iterable(recent) if one.outcome is Outcome.ACCEPTED}

    @property
    def slowest_failure(self) -> float:
        """Seconds until a publish that was not accepted was answered, at most."""
        return max(publisher.slowest_failure for publisher in self.publishers)

    @property
    def retries(self) -> int:
        """How often a publish was sent again."""
        return sum(publisher.retries for publisher in self.publishers)

    @property
    def places(self) -> dict[str, Place]:
        """The newest accepted place of each room, of the epoch that came last."""
        newest: dict[str, Published] = {}
        for one in sorted(self.log, key=lambda one: one.finished):
            known = newest.get(one.room)
            if one.places and (
                known is None
                or known.places[0].epoch != one.places[0].epoch
                or known.places[0].offset < one.places[0].offset
            ):
                newest[one.room] = one
        return {room: one.places[0] for room, one in newest.items()}

    async def run(self, each: int, rate: float | None = None, padding: int = 0) -> float:
        """Each publishes so many, with so many bytes more, together at most `rate` a second; returns the
        seconds it took."""
        started = time.monotonic()
        pause = 0.0 if rate is None else len(self.publishers) / rate

        async def publish(number: int, publisher: Publisher) -> None:
            first = len(publisher.log)
            for turn in range(each):
                due = started + (turn + number / len(self.publishers)) * pause
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if self.stopped.is_set():
                    return
                await publisher.publish(self.rooms[(first + turn + number) % len(self.rooms)], padding)

        await asyncio.gather(*(publish(*one) for one in enumerate(self.publishers)))
        return time.monotonic() - started


async def spread(links: Sequence[HttpLink | Publisher], processes: int) -> None:
    """Connect them all, to so many processes of the server at least."""
    # One after the other: of many connections at once, the process that is first takes nearly all.
    pids = [await link.connect() for link in links]
    deadline = time.monotonic() + ANSWER_SECONDS
    while len(set(pids)) < processes:
        assert time.monotonic() < deadline, f"all are connected to {pids[0]}"
        pids[0] = await links[0].connect()


@asynccontextmanager
async def press(
    port: int | Sequence[int],
    rooms: Sequence[str],
    count: int,
    *,
    insist: bool = False,
    name: str = "publisher",
    processes: int = 1,
) -> AsyncIterator[Press]:
    """So many publishers, connected to so many processes at least, until the end of the block."""
    ports = [port] if isinstance(port, int) else port
    publishers = [
        # Each begins with another of them.
        Publisher(
            [*ports[number % len(ports) :], *ports[: number % len(ports)]], f"{name} {number}", insist=insist
        )
        for number in range(count)
    ]
    try:
        await spread(publishers, processes)
        yield Press(publishers, rooms)
    finally:
        for publisher in publishers:
            publisher.close()
