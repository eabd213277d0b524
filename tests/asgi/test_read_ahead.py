"""Reading ahead: bounded, in order, and at its end when it is stopped."""

import asyncio
from collections import deque

from polling import DEADLINE, turns

from hubbub.asgi.read_ahead import ReadAhead
from hubbub.core.messages import Payload


class Source:
    """A server's events: what it is given, and then a wait without end."""

    def __init__(self, *payloads: Payload | Exception | None) -> None:
        self.left = deque(payloads)
        self.failures: list[BaseException] = []

    async def next(self) -> Payload | None:
        if not self.left:
            await asyncio.Event().wait()
        payload = self.left.popleft()
        if isinstance(payload, Exception):
            raise payload
        return payload

    def reader(self, limit: int = 3) -> ReadAhead:
        return ReadAhead(self.next, limit, self.failures.append)


async def test_no_more_is_read_than_the_limit_until_something_is_taken() -> None:
    source = Source(*"abcdef")
    reader = source.reader()
    await turns()
    assert (reader.full, len(source.left)) == (True, 3)
    assert reader.take() == "a"
    await turns()
    assert (reader.full, len(source.left)) == (True, 2)
    assert [reader.take() for _ in range(3)] == ["b", "c", "d"]
    reader.stop()


async def test_what_is_not_for_the_handler_is_passed_over() -> None:
    reader = Source(None, "a", None, b"b").reader()
    await turns()
    assert [reader.take(), reader.take(), reader.take()] == ["a", b"b", None]
    reader.stop()


async def test_a_wait_ends_when_something_has_come() -> None:
    source = Source()
    reader = source.reader()
    waiting = asyncio.create_task(reader.wait())
    await turns()
    assert not waiting.done()
    reader.stop()
    waiting.cancel()

    source = Source("a")
    reader = source.reader()
    async with asyncio.timeout(DEADLINE):
        await reader.wait()
    assert reader.take() == "a"
    reader.stop()


async def test_what_was_read_can_be_taken_after_a_stop() -> None:
    reader = Source("a").reader()
    await turns()
    reader.stop()
    await turns()
    assert (reader.take(), reader.take()) == ("a", None)


async def test_a_failure_has_an_owner_who_hears_of_it() -> None:
    source = Source("a", KeyError("boom"))
    reader = source.reader()
    await turns()
    assert [type(failure) for failure in source.failures] == [KeyError]
    assert reader.take() == "a"


async def test_a_stop_from_within_reads_no_more() -> None:
    reads = 0

    async def read() -> None:
        nonlocal reads
        reads += 1
        reader.stop()

    reader = ReadAhead(read, 3, lambda error: None)
    await turns()
    assert reads == 1
