"""Timers of a process that stood still."""

from hubbub.core.standstill import PARDON, STOOD_STILL, Standstill


def test_a_timer_that_is_a_little_late_is_not_held_back() -> None:
    standstill = Standstill()
    assert standstill.pardon(10.0, 10.0) == 0
    assert standstill.pardon(10.0, 10.0 + STOOD_STILL) == 0
    assert (standstill.waiting, standstill.waited) == (False, 0)


def test_one_that_is_very_late_is_held_back_once_for_each_time() -> None:
    standstill = Standstill()
    assert standstill.pardon(10.0, 40.0) == PARDON
    assert standstill.waiting
    assert standstill.pardon(41.0, 80.0) == 0, "it may not be put off for ever"
    assert (standstill.waiting, standstill.waited) == (False, PARDON)
    assert standstill.pardon(81.0, 81.0) == 0
    assert standstill.waited == 0
    assert standstill.pardon(82.0, 90.0) == PARDON
