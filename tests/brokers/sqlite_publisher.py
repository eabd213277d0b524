"""A process that publishes to a SQLite file, and writes one line for each publish that is acknowledged."""

import asyncio
import os
import sys

from hubbub import History, Position, Publication
from hubbub.brokers.sqlite import SqliteBroker

TASKS = 20
KEEP = History(size=100_000, ttl=3600.0)


class Nobody:
    """Receives."""

    def publication(self, publication: Publication) -> None: ...

    def passed(self, room: str, position: Position) -> None: ...

    def interrupted(self, room: str, position: Position) -> None: ...


async def publish(path: str, count: int) -> None:
    broker = SqliteBroker(path)
    await broker.start(Nobody())
    os.write(1, b"started\n")

    async def one_task(task: int) -> None:
        for number in range(count // TASKS):
            payload = f"{task}-{number}"
            made = await broker.publish("r", payload, history=KEEP, idempotency_key=payload)
            assert made.position is not None
            os.write(1, f"{made.position.offset} {payload}\n".encode())

    await asyncio.gather(*(one_task(task) for task in range(TASKS)))
    await asyncio.sleep(3600)  # the test ends it


asyncio.run(publish(sys.argv[1], int(sys.argv[2])))
