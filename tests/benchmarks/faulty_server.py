"""A WebSocket server that fans out like the bench's servers, and does one thing wrong. Usage: PORT FAULT."""

import asyncio
import itertools
import sys
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection, serve

# The delivery that goes wrong: the 7th message for the second member that connected.
FAULTY_MEMBER, FAULTY_MESSAGE = 1, 7
Fault = Callable[[str, list[str]], list[str]]


def none(text: str, held: list[str]) -> list[str]:
    return [text]


def lose(text: str, held: list[str]) -> list[str]:
    return []


def double(text: str, held: list[str]) -> list[str]:
    return [text, text]


def swap(text: str, held: list[str]) -> list[str]:
    """Holds the text back; the caller sends it behind the next one."""
    held.append(text)
    return []


def damage(text: str, held: list[str]) -> list[str]:
    return [text[:-1] + "!"]


def shorten(text: str, held: list[str]) -> list[str]:
    return [text[:-5]]


def foreign(text: str, held: list[str]) -> list[str]:
    return [text, "a text that nobody published"]


FAULTS: dict[str, Fault] = {f.__name__: f for f in (none, lose, double, swap, damage, shorten, foreign)}


async def main(port: int, fault: Fault) -> None:
    members: list[ServerConnection] = []
    numbers = itertools.count(1)
    held: list[str] = []

    def texts_for(index: int, number: int, text: str) -> list[str]:
        if index != FAULTY_MEMBER:
            return [text]
        if number == FAULTY_MESSAGE:
            return fault(text, held)
        late = held.copy()
        held.clear()
        return [text, *late]

    async def handle(connection: ServerConnection) -> None:
        members.append(connection)
        async for text in connection:
            number = next(numbers)
            for index, member in enumerate(members):
                for out in texts_for(index, number, str(text)):
                    await member.send(out)

    async with serve(handle, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), FAULTS[sys.argv[2]]))
