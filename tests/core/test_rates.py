"""Token buckets, with a time that is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.errors import ConfigurationError
from hubbub.core.rates import Buckets, Debts, Rate


def test_a_burst_passes_and_not_one_more() -> None:
    buckets = Buckets(Rate(20, 40))
    assert [buckets.spend("ada", 100.0) for _ in range(42)] == [True] * 40 + [False] * 2


def test_tokens_come_back_one_by_one_at_the_rate() -> None:
    buckets = Buckets(Rate(20, 40))
    for _ in range(40):
        buckets.spend("ada", 100.0)
    assert not buckets.spend("ada", 100.049)
    assert buckets.spend("ada", 100.05)
    assert not buckets.spend("ada", 100.099)
    assert [buckets.spend("ada", 101.05) for _ in range(21)] == [True] * 20 + [False]


def test_a_refusal_costs_nothing() -> None:
    buckets = Buckets(Rate(1, 1))
    assert buckets.spend("ada", 0.0)
    for moment in range(1, 100):
        assert not buckets.spend("ada", moment / 100)
    assert buckets.spend("ada", 1.0)


def test_each_key_has_a_bucket_of_its_own() -> None:
    buckets = Buckets(Rate(1, 1))
    assert buckets.spend("ada", 0.0)
    assert buckets.spend("bob", 0.0)
    assert not buckets.spend("ada", 0.5)


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    buckets = Buckets(Rate(20, 40))
    buckets.spend("ada", 0.0)
    assert [buckets.spend("ada", 1_000_000.0) for _ in range(41)] == [True] * 40 + [False]


def test_buckets_that_are_full_again_are_forgotten() -> None:
    buckets = Buckets(Rate(10, 50))
    for number in range(1_000):
        buckets.spend(str(number), number / 100)
    assert len(buckets) <= 600, "those of the last 5 seconds, and of one sweep"
    buckets.spend("last", 100.0)
    assert len(buckets) == 1


def test_there_are_never_more_buckets_than_allowed_and_the_oldest_goes_first() -> None:
    buckets = Buckets(Rate(1, 1), most=3)
    for key in ("a", "b", "c"):
        assert buckets.spend(key, 0.0)
    assert not buckets.spend("a", 0.0)  # used again: b is the oldest now
    assert buckets.spend("d", 0.0)
    assert len(buckets) == 3
    assert not buckets.spend("a", 0.0)
    assert buckets.spend("b", 0.0)


def test_of_several_buckets_that_were_left_the_emptiest_is_taken_first() -> None:
    debts = Debts(Rate(20, 40))
    for full_at in (6.0, 6.5, 5.5):
        debts.leave("ada", full_at)
    assert [debts.take("ada", 5.0) for _ in range(4)] == [6.5, 6.0, 5.5, 5.0]
    assert len(debts) == 0


def test_debts_that_are_made_up_are_forgotten() -> None:
    debts = Debts(Rate(10, 50))
    for number in range(1_000):
        debts.leave(str(number % 7), number / 100 + 5.0)
    debts.take("nobody", 11.0)
    assert len(debts) == 399, "those that are full after 11.0"
    debts.take("nobody", 100.0)
    assert len(debts) == 0


def test_no_more_debts_are_kept_than_allowed_and_the_oldest_address_goes_first() -> None:
    debts = Debts(Rate(1, 10), most=3)
    for address in ("a", "b", "b", "c"):
        debts.leave(address, 9.0)
    assert len(debts) == 3
    assert [debts.take(address, 1.0) for address in ("a", "b", "b", "c")] == [1.0, 9.0, 9.0, 9.0]


@given(st.lists(st.floats(0, 0.3), max_size=300), st.floats(0.5, 50), st.integers(1, 20))
def test_no_span_of_time_passes_more_than_its_rate_and_one_burst(
    gaps: list[float], per_second: float, burst: int
) -> None:
    buckets, now, passed = Buckets(Rate(per_second, burst)), 0.0, []
    for gap in gaps:
        now += gap
        if buckets.spend("ada", now):
            passed.append(now)
    for first, since in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - since) * per_second + 1e-6


@pytest.mark.parametrize(("per_second", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_rate_that_lets_nothing_pass_is_refused(per_second: float, burst: int) -> None:
    with pytest.raises(ConfigurationError):
        Rate(per_second, burst)
