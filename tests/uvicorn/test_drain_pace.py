"""How many clients a drain closes at a time."""

import pytest

from hubbub.uvicorn.drain import TICK, Pace


@pytest.mark.parametrize("count", [1, 3, 99, 100, 1_000, 2_974])
@pytest.mark.parametrize("window", [1.0, 10.0])
def test_all_are_closed_within_the_window_and_never_more_than_the_share_at_once(
    count: int, window: float
) -> None:
    pace = Pace(count, window)
    steps = [pace.step() for _ in range(round(window / TICK))]
    assert sum(steps) == count
    assert steps[0] >= 1
    second = round(1 / TICK)
    busiest = max(sum(steps[at : at + second]) for at in range(len(steps)))
    assert busiest <= count / window + 1


def test_a_window_shorter_than_a_tick_closes_all_at_once() -> None:
    assert Pace(50, 0.05).step() >= 50
