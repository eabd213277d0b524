"""How many clients a drain closes at a time. The times are given: nothing is waited for."""

import bisect
from collections.abc import Iterable

import pytest

from hubbub.uvicorn.drain import LATE, LONGER, TICK, Pace, longest_drain
from hubbub.uvicorn.runner import EXIT_TIME, LAST_STEPS

COUNTS = pytest.mark.parametrize("count", [1, 3, 99, 100, 1_000, 2_974, 40_000])


def closed(count: int, window: float, ticks: Iterable[float]) -> list[float]:
    """When each was closed, in a drain that looks at these times, until all are."""
    pace, moments = Pace(count, window * LONGER, 0.0), []
    for now in ticks:
        moments += [now] * pace.due(now)
        if len(moments) >= count:
            break
    return moments[:count]


def busiest_second(moments: list[float]) -> int:
    """The most that were closed within one second."""
    return max(bisect.bisect_left(moments, start + 1) - at for at, start in enumerate(moments))


@COUNTS
@pytest.mark.parametrize("window", [1.0, 10.0, 25.0])
def test_all_are_closed_in_little_more_than_the_window_and_no_second_has_more_than_its_share(
    count: int, window: float
) -> None:
    moments = closed(count, window, (number * TICK for number in range(10_000)))
    assert len(moments) == count
    assert moments[0] == 0.0
    assert moments[-1] <= window * LONGER + TICK
    # Room for the way to the clients: those of more than a second may arrive within one.
    assert busiest_second(moments) <= 0.96 * count / window + 2


@COUNTS
def test_ticks_that_come_a_little_late_are_made_up_for(count: int) -> None:
    late = (number * TICK + (number % 3) * 0.009 for number in range(10_000))
    moments = closed(count, 10.0, late)
    assert moments[-1] <= 10 * LONGER + 2 * TICK
    assert busiest_second(moments) <= 0.96 * count / 10 + 2


def test_what_a_server_that_stood_still_has_missed_is_not_closed_at_once() -> None:
    ticks = [0.0, 1.0, 1.02, 3.0, *(3 + number * TICK for number in range(1, 10_000))]
    moments = closed(2_000, 10.0, ticks)
    assert moments.count(1.0) <= 2_000 / 10 * LATE + 1
    assert busiest_second(moments) <= 0.96 * 2_000 / 10 + 2
    assert moments[-1] > 10 * LONGER + 2


@pytest.mark.parametrize("window", [0.0, 1.0, 10.0, 25.0])
def test_a_drain_leaves_time_for_what_follows_until_the_process_has_to_end(window: float) -> None:
    assert longest_drain(window) <= EXIT_TIME - LAST_STEPS - 1
    assert longest_drain(window) >= min(window * 1.04, EXIT_TIME)
