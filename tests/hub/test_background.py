"""Tasks that nobody waits for do not fail unseen, and end with their owner."""

import asyncio

import pytest
from polling import turns

from hubbub.hub.background import Background


async def test_a_failure_is_logged_with_its_owner(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    background = Background("the choir")
    background.run(fail())
    await turns()
    (record,) = caplog.records
    assert "the choir" in record.message
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_what_is_not_done_ends_with_the_owner(caplog: pytest.LogCaptureFixture) -> None:
    ended = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    background = Background("the choir")
    background.run(wait())
    background.run(wait())
    await turns()
    await background.stop()
    assert ended == [True, True]
    assert caplog.records == []
    await background.stop()


async def test_what_is_done_in_time_may_finish_also_what_it_begins() -> None:
    background, done = Background("the choir"), []

    async def sing(voice: int) -> None:
        await asyncio.sleep(0.01)
        done.append(voice)
        if voice < 3:
            background.run(sing(voice + 1))

    background.run(sing(1))
    await background.finish(5.0)
    assert done == [1, 2, 3]
    background.run(asyncio.Event().wait())  # type: ignore[arg-type]
    await background.finish(0.01)
    await background.finish(0.01)
