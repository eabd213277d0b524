"""Some clients send much more than they may: they are limited, and the others hardly notice."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import msgspec
import psutil
import pytest
from figure_table import Tell
from figures import FULL, sized
from flooders import Visit
from latencies import percentile
from lean_client import LeanClient, connect, run
from polling import eventually
from server_process import HUBBUB, ServerProcess, running

from hubbub import Protection

FLOODERS = sized(10, 100)
EACH = sized(2_000, 50)
"""Messages a second that each of them sends while connected: at full size 5,000 in all. Once its burst is
used up it is closed. After 0.3 s it is back, and what it had used up has not been made up by then."""

CALM, CALM_RATE = sized(10, 100), 10
"""Members of the others' room, and its messages a second."""

SECONDS = sized(2, 10)
"""Of one measurement. A round has three: without the flood, with it at another server of the same machine,
and with it at the same server. What the second has more than the first is the machine's doing."""

ROUNDS = sized(1, 5)
LOOK = 0.005
"""Seconds between the looks at how late the process that measures is."""

POLICY = 1008
FLOODERS_SCRIPT = Path(__file__).with_name("flooders.py")

pytestmark = pytest.mark.timeout(ROUNDS * (4 * SECONDS + 60) + 60)


@asynccontextmanager
async def flooders(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The flood, in a process of its own that waits for a word to begin."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(FLOODERS_SCRIPT), *map(str, (port, FLOODERS, EACH, SECONDS))),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=16 << 20,
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class CalmRoom:
    """The others: what one says, all hear."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._members: list[LeanClient] = []
        self._sent: list[float] = []
        self.heard: list[tuple[int, float]] = []
        """Number of the message, and seconds that it took."""

        self.late: list[float] = []
        """Seconds by which this process was late, each time it looked."""

        self.lost: list[int] = []
        """Codes of those whose connection ended."""

    async def come(self) -> None:
        """All connect."""
        for number in range(CALM):
            path = f"/ws/room/calm?username=calm-{number}"
            self._members.append(await connect(self._port, path, self._hear, self.lost.append))

    def _hear(self, text: bytes) -> None:
        name, _, number = text.rpartition(b" ")
        if name.endswith(b": number"):
            self.heard.append((int(number), time.monotonic() - self._sent[int(number)]))

    async def talk(self) -> list[float]:
        """Talk for a while; returns what each message took to each member, when all have all."""
        watching = asyncio.create_task(self._watch())
        began, first = time.monotonic(), len(self._sent)
        self.heard.clear()
        for turn in range(SECONDS * CALM_RATE):
            await asyncio.sleep(max(0.0, began + turn / CALM_RATE - time.monotonic()))
            number = len(self._sent)
            self._sent.append(time.monotonic())
            self._members[number % CALM].say(f"number {number}")
        expected = (len(self._sent) - first) * CALM
        deadline = time.monotonic() + 30
        while len(self.heard) < expected:
            assert time.monotonic() < deadline, f"{expected - len(self.heard)} of {expected} did not come"
            await asyncio.sleep(0.02)
        watching.cancel()
        assert set(Counter(number for number, _ in self.heard).values()) == {CALM}, "each hears each once"
        return [seconds for _, seconds in self.heard]

    async def _watch(self) -> None:
        """Note how late this process is itself, which is part of what it measures."""
        while True:
            due = time.monotonic() + LOOK
            await asyncio.sleep(LOOK)
            self.late.append(time.monotonic() - due)

    async def go(self) -> None:
        """All leave."""
        for member in self._members:
            member.leave()
        await eventually(lambda: len(self.lost) == CALM, 10)


@dataclass(slots=True)
class Outcome:
    """One round. What there is three times is without the flood, with it elsewhere, and beside it."""

    latencies: list[list[float]]
    """Seconds to the others, of each of their messages."""

    busy: list[float]
    """Seconds that the server computed."""

    visits: list[Visit]
    """Those of the flood at the same server."""

    late: list[float]
    """Seconds by which the process that measures was late."""


async def flooded(server: ServerProcess, other: ServerProcess) -> Outcome:
    """Let the others talk: alone, while the flood is elsewhere, and beside it."""

    def computed() -> float:
        times = process.cpu_times()
        return times.user + times.system

    room, process = CalmRoom(server.port), psutil.Process(server.process.pid)
    await room.come()
    busy, latencies = [computed()], [await room.talk()]
    busy.append(computed())
    told = b""
    for port in (other.port, server.port):
        async with flooders(port) as flood:
            flooding = asyncio.create_task(flood.communicate(b"go\n"))
            latencies.append(await room.talk())
            busy.append(computed())
            told, _ = await asyncio.wait_for(flooding, SECONDS + 60)
    assert not room.lost, "the others stay"
    await room.go()
    took = [after - before for before, after in pairwise(busy)]
    return Outcome(latencies, took, msgspec.json.decode(told, type=list[Visit]), room.late)


async def rounds(server: ServerProcess, other: ServerProcess) -> list[Outcome]:
    """One after the other: what else the machine does comes and goes."""
    return [await flooded(server, other) for _ in range(ROUNDS)]


def check_limits(visits: list[Visit]) -> None:
    """No client has more taken than its rate allows, but for one message each time that it comes back."""
    protection = Protection()
    rate = protection.messages
    assert rate is not None
    for visit in visits:
        allowed = rate.burst + rate.per_second * visit.seconds + 1
        assert visit.accepted <= allowed, f"more than may be: {visit}"
        # Who goes by itself, at the end, may do so between its last strike and its end.
        closed = visit.code == POLICY or visit.told == protection.strikes + 1
        assert visit.sent <= allowed + protection.strikes + 1 or closed, f"not closed: {visit}"
    for number in range(FLOODERS):
        of_one = [visit for visit in visits if visit.client == number]
        seconds = max(visit.began + visit.seconds for visit in of_one) - of_one[0].began
        accepted = sum(visit.accepted for visit in of_one)
        allowed = rate.burst + rate.per_second * seconds + len(of_one)
        assert accepted <= allowed, f"more than may be: {of_one}"


def test_a_flood_is_limited_and_the_others_go_on(tmp_path: Path, tell: Tell) -> None:
    folders = [tmp_path / name for name in ("server", "other")]
    with ExitStack() as stack:
        servers = []
        for folder in folders:
            folder.mkdir()
            command = [*HUBBUB, "serve", "--drain", "0"]
            servers.append(stack.enter_context(running(command, folder / "serve.log", folder=folder)))
        seen = run(rounds(*servers))
    visits = [visit for one in seen for visit in one.visits]
    seconds = ROUNDS * SECONDS
    sent, accepted = sum(visit.sent for visit in visits), sum(visit.accepted for visit in visits)
    codes = Counter(visit.code for visit in visits)
    tell("flood", f"{FLOODERS} clients, {sent / seconds:,.0f} messages/s sent", "5,000" if FULL else "")
    tell("of them taken", f"{accepted / seconds:,.0f}/s, and {len(visits) / seconds:,.0f} handshakes/s")
    calm, _, busy = (f"{median(one.busy[at] for one in seen) / SECONDS:.0%}" for at in range(3))
    tell("the server's processor time", f"{busy} of a core, without {calm}")
    tell("closed", f"{dict(codes)}", "1008")
    each = [[percentile(part, 0.99) * 1e3 for part in one.latencies] for one in seen]
    before, elsewhere, p99 = (median(one[at] for one in each) for at in range(3))
    tell("p99 of the others", f"{p99:.1f} ms, without {before:.1f} ms")
    tell("with the flood elsewhere", f"{elsewhere:.1f} ms", "the others within 20 % or 5 ms of it")
    tell("of each round", ", ".join("/".join(f"{part:.1f}" for part in one) for one in each))
    late = [percentile(one.late, 0.99) * 1e3 for one in seen]
    tell("of that, this process was late", f"{median(late):.1f} ms")
    for one in seen:
        check_limits(one.visits)
    assert codes[POLICY]
    if FULL:
        machine = max(before, elsewhere)
        assert p99 < max(1.2 * machine, machine + 5)
