"""Clients that send more than they may: ``python flooders.py PORT CLIENTS RATE SECONDS``.

They are strangers: none keeps step with another. Prints ``ready``, begins when a line comes, and prints what
became of each connection, as JSON.
"""

import asyncio
import random
import sys
import time

import msgspec
from lean_client import connect, run

AGAIN = 0.3
"""Seconds until one that was closed is back, on average."""


class Visit(msgspec.Struct):
    """One connection of a flooder."""

    client: int
    """Whose it is."""

    began: float
    """In seconds, of a clock that all visits share."""

    seconds: float = 0.0
    sent: int = 0
    accepted: int = 0
    told: int = 0
    """Errors that it was told."""

    code: int = 0


class Flood:
    """All of them.

    Args:
        port: of the server.
        rate: messages a second that each tries to send.
    """

    def __init__(self, port: int, rate: float) -> None:
        self.visits: list[Visit] = []
        self._port = port
        self._pause = 1 / rate

    async def _visit(self, number: int, until: float) -> None:
        """Connect and send, until it is closed or the time is over."""
        ended, began = asyncio.Event(), time.monotonic()
        visit = Visit(number, began)
        self.visits.append(visit)

        def hear(text: bytes) -> None:
            if text.startswith(b"[flood"):
                visit.accepted += b": flood" in text
            else:
                visit.told += b'"error"' in text

        def end(code: int) -> None:
            visit.code = code
            ended.set()

        path = f"/ws/room/flood-{number}?username=flooder-{number}"
        client = await connect(self._port, path, hear, end, f"198.51.100.{number}")
        due = time.monotonic()
        while not ended.is_set() and (now := time.monotonic()) < until:
            client.say(f"flood {visit.sent}")
            visit.sent += 1
            # After the clock, not after the last: whoever is late catches up.
            due += _about(self._pause)
            await asyncio.sleep(max(0.0, due - now))
        if not ended.is_set():
            client.leave()
        await ended.wait()
        visit.seconds = time.monotonic() - began

    async def flooder(self, number: int, until: float) -> None:
        """Come again whenever it was closed."""
        await asyncio.sleep(random.uniform(0, AGAIN))
        while time.monotonic() < until:
            await self._visit(number, until)
            await asyncio.sleep(_about(AGAIN))


def _about(seconds: float) -> float:
    return random.uniform(0.5, 1.5) * seconds


async def flood(port: int, clients: int, rate: float, seconds: float) -> list[Visit]:
    """All send for so long."""
    one, until = Flood(port, rate), time.monotonic() + seconds
    await asyncio.gather(*(one.flooder(number, until) for number in range(clients)))
    return one.visits


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    seen = run(flood(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
    sys.stdout.write(msgspec.json.encode(seen).decode())
