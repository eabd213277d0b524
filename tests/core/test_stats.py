"""Counters, and the bounded names under which they are counted."""

import dataclasses

import pytest

from hubbub.core import errors
from hubbub.core.stats import Histogram, RefusalReason, Stats, close_label, refusal_of


def test_every_counter_begins_at_zero() -> None:
    stats = Stats()
    plain = {field.name for field in dataclasses.fields(stats) if field.type == "int" or field.type is int}
    assert {getattr(stats, name) for name in plain} == {0}
    assert (stats.closed, stats.refused, sum(stats.publishing.counts)) == ({}, {}, 0)


@pytest.mark.parametrize(
    ("code", "label"),
    [
        *((code, str(code)) for code in (1000, 1013, 3008, 3503, 4401)),
        *((code, "other") for code in (1004, 1016, 2999, 70_000)),
        *((None, "none"), (3100, "3xxx"), (4999, "4xxx")),
    ],
)
def test_a_close_code_has_a_label(code: int | None, label: str) -> None:
    assert close_label(code) == label


def test_no_client_can_make_many_labels() -> None:
    assert len({close_label(code) for code in range(65_536)}) < 60


def test_every_refusal_has_a_reason_and_nothing_else_has() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    reasons = {kind.__name__: refusal_of(kind.__new__(kind)) for kind in kinds}
    refused = (errors.Refused, errors.BadMessage, errors.SlowConsumer, errors.Overloaded)
    for kind in kinds:
        assert (reasons[kind.__name__] is not None) == issubclass(kind, refused), kind
    assert reasons["OriginRefused"] is RefusalReason.ORIGIN
    assert reasons["Unauthorized"] is RefusalReason.TOKEN
    assert reasons["Refused"] is RefusalReason.PERMISSION


def test_refusals_and_ends_are_counted_by_their_label() -> None:
    stats = Stats()
    for reason in (RefusalReason.RATE, errors.LimitReached(), errors.LimitReached(), errors.BrokerError()):
        stats.refuse(reason)
    for code in (1000, 1000, 4711, None):
        stats.close(code)
    assert stats.refused == {RefusalReason.RATE: 1, RefusalReason.LIMIT: 2}
    assert stats.closed == {"1000": 2, "4xxx": 1, "none": 1}


def test_a_time_is_counted_in_the_first_bucket_that_it_fits() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.0, 0.1, 0.2, 1.0, 1.1):
        histogram.observe(seconds)
    assert (histogram.counts, histogram.sum) == ([2, 2, 1], pytest.approx(2.4))
