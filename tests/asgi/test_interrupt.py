"""Ending a wait from outside, and only the wait."""

import asyncio

import pytest
from polling import turns

from hubbub.asgi.interrupt import Interrupted, Waits


async def wait(waits: Waits) -> str:
    try:
        await waits.until_interrupted(asyncio.Event().wait())
    except Interrupted:
        await asyncio.sleep(0)  # the task lives on, and may wait for something else
        return "interrupted"
    return "woken"


async def test_a_result_comes_through() -> None:
    assert await Waits().until_interrupted(asyncio.sleep(0, "done")) == "done"


async def test_all_waits_end_and_their_tasks_go_on() -> None:
    waits = Waits()
    tasks = [asyncio.create_task(wait(waits)) for _ in range(3)]
    await turns(3)
    waits.interrupt()
    assert await asyncio.gather(*tasks) == ["interrupted"] * 3
    assert [task.cancelling() for task in tasks] == [0, 0, 0]


@pytest.mark.parametrize("first", ["cancel", "interrupt"])
async def test_a_cancellation_from_elsewhere_wins(first: str) -> None:
    waits = Waits()
    task = asyncio.create_task(wait(waits))
    await turns(3)
    if first == "cancel":
        task.cancel()
        waits.interrupt()
    else:
        waits.interrupt()
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_alone_is_no_interruption() -> None:
    task = asyncio.create_task(wait(Waits()))
    await turns(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_around_the_wait_stays_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await Waits().until_interrupted(asyncio.Event().wait())


async def test_whoever_interrupts_is_not_interrupted() -> None:
    waits = Waits()

    async def end_all() -> str:
        waits.interrupt()
        await asyncio.sleep(0)
        return "went on"

    assert await waits.until_interrupted(end_all()) == "went on"


async def test_an_exception_of_the_wait_comes_through() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await Waits().until_interrupted(fail())
