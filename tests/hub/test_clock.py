"""One timer of the loop for all deadlines, on both event loops that servers use."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from polling import eventually

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
