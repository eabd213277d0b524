"""One timer for many connections."""

import asyncio

import pytest
from standing_still import stand_still

from hubbub.core import standstill
from hubbub.uvicorn.deadlines import DeadlineQueue


async def test_items_come_due_in_the_order_they_were_added_unless_discarded() -> None:
    due: list[str] = []
    done = asyncio.Event()

    def action(item: str) -> None:
        due.append(item)
        if item == "last":
            done.set()

    queue: DeadlineQueue[str] = DeadlineQueue(asyncio.get_running_loop(), 0.05, action)
    for item in ("first", "gone", "again", "last"):
        queue.add(item)
    queue.discard("gone")
    queue.discard("unknown")
    queue.add("again")
    queue.add("last")
    assert len(queue) == 3
    assert "first" in queue
    assert "gone" not in queue
    await asyncio.wait_for(done.wait(), 10)
    assert due == ["first", "again", "last"]
    assert len(queue) == 0


async def test_an_action_may_start_the_delay_again() -> None:
    rounds = 0
    done = asyncio.Event()

    def action(item: str) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            done.set()
        else:
            queue.add(item)

    queue: DeadlineQueue[str] = DeadlineQueue(asyncio.get_running_loop(), 0.01, action)
    queue.add("one")
    await asyncio.wait_for(done.wait(), 10)


async def test_no_action_is_early() -> None:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[float] = loop.create_future()
    queue: DeadlineQueue[str] = DeadlineQueue(loop, 0.05, lambda _: arrived.set_result(loop.time()))
    added = loop.time()
    queue.add("one")
    assert await asyncio.wait_for(arrived, 10) - added >= 0.05


async def test_after_a_standstill_an_item_may_still_be_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standstill, "STOOD_STILL", 0.05)
    monkeypatch.setattr(standstill, "PARDON", 0.1)
    loop, due = asyncio.get_running_loop(), list[str]()
    done = asyncio.Event()
    queue: DeadlineQueue[str] = DeadlineQueue(loop, 0.01, lambda one: (due.append(one), done.set())[1])
    queue.add("silent")
    queue.add("heard")
    loop.call_later(0.02, queue.discard, "heard")  # its answer is there, and read a little later
    stand_still(0.1)
    await asyncio.wait_for(done.wait(), 10)
    assert due == ["silent"]
