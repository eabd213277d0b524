"""One timer of the loop for all deadlines, on both event loops that servers use."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from polling import eventually
from standing_still import stand_still

from hubbub.core import standstill
from hubbub.hub.clock import Clock

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    def run(test: Callable[[], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(test())  # type: ignore[arg-type]

    return run


Run = Callable[[Callable[[], Awaitable[None]]], None]


def test_actions_run_in_the_order_of_their_deadlines_and_not_before(run: Run) -> None:
    async def test() -> None:
        clock, ran = Clock(), list[tuple[str, bool]]()
        now = clock.now()
        for name, delay in [("c", 0.03), ("a", 0.01), ("b", 0.02), ("past", -1.0), ("now", 0.0)]:
            due = now + delay
            clock.at(due, lambda name=name, due=due: ran.append((name, clock.now() >= due)))
        await eventually(lambda: len(ran) == 5)
        assert ran == [(name, True) for name in ("past", "now", "a", "b", "c")]

    run(test)


def test_a_deadline_that_has_passed_keeps_no_other_from_being_set(run: Run) -> None:
    async def test() -> None:
        clock, ran = Clock(), list[int]()
        for number in range(100):
            clock.after(-1.0 if number % 2 else 0.001, lambda number=number: ran.append(number))
        await eventually(lambda: len(ran) == 100)

    run(test)


def test_an_action_that_fails_is_reported_and_keeps_no_other_from_running(run: Run) -> None:
    async def test() -> None:
        reported: list[object] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: reported.append(context.get("exception"))
        )
        clock, ran = Clock(), list[str]()
        clock.after(0.0, lambda: 1 // 0)
        clock.after(0.0, lambda: ran.append("same turn"))
        clock.after(0.01, lambda: ran.append("later"))
        await eventually(lambda: ran == ["same turn", "later"])
        assert [type(error) for error in reported] == [ZeroDivisionError]

    run(test)


def test_an_action_may_set_the_next_deadline(run: Run) -> None:
    async def test() -> None:
        clock, ran = Clock(), list[int]()

        def again() -> None:
            ran.append(len(ran))
            clock.after(0.001, again)

        again()
        await eventually(lambda: len(ran) >= 10)
        clock.stop()

    run(test)


def test_nothing_runs_that_was_cancelled_or_after_a_stop(run: Run) -> None:
    async def test() -> None:
        clock, ran = Clock(), list[str]()
        clock.after(0.001, lambda: ran.append("cancelled")).cancel()
        clock.after(0.002, lambda: ran.append("kept"))
        await eventually(lambda: ran)
        clock.after(0.001, lambda: ran.append("stopped"))
        clock.stop()
        clock.stop()
        await asyncio.sleep(0.01)
        assert ran == ["kept"]

    run(test)


def test_after_a_standstill_what_came_meanwhile_is_read_before_anything_is_due(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "STOOD_STILL", 0.05)
    monkeypatch.setattr(standstill, "PARDON", 0.1)

    async def test() -> None:
        clock, ran = Clock(), list[str]()
        reading, writing = os.pipe()
        heard = asyncio.Event()
        asyncio.get_running_loop().add_reader(reading, heard.set)

        async def handler() -> None:
            await heard.wait()
            for _ in range(20):  # it has to take turns with others
                await asyncio.sleep(0)
            ran.append("what came")

        handling = asyncio.create_task(handler())
        clock.after(0.01, lambda: ran.append(f"due, {clock.held_back} s late"))
        clock.after(0.02, lambda: ran.append("also due"))
        await asyncio.sleep(0)
        os.write(writing, b"x")
        stand_still(0.1)
        await asyncio.sleep(0)
        clock.after(-5.0, lambda: ran.append("past"))  # which makes nothing else come earlier
        await handling
        asyncio.get_running_loop().remove_reader(reading)
        os.close(reading)
        os.close(writing)
        await eventually(lambda: len(ran) == 4)
        assert ran == ["what came", "past", "due, 0.1 s late", "also due"]

    run(test)
