"""Counters."""

import dataclasses

from hubbub.core.stats import Stats


def test_every_counter_begins_at_zero() -> None:
    assert set(dataclasses.asdict(Stats()).values()) == {0}
