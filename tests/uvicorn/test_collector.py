"""How often the garbage collector of a server looks at what stays."""

import gc
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from hubbub.uvicorn.collector import settle

INCREMENTAL = (3, 14) <= sys.version_info < (3, 14, 5)


@pytest.fixture
def collections() -> Iterator[Counter[int]]:
    """How many collections of each generation there were; the collector is set back after the test."""
    seen: Counter[int] = Counter()

    def note(phase: str, info: dict[str, int]) -> None:
        seen[info["generation"]] += phase == "start"

    before = gc.get_threshold()
    gc.callbacks.append(note)
    try:
        yield seen
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*before)
        gc.unfreeze()


@pytest.mark.skipif(INCREMENTAL, reason="this Python has another collector, without generations to choose")
def test_an_object_that_stays_is_looked_at_once_in_its_youth(collections: Counter[int]) -> None:
    settle()
    collections.clear()
    kept: list[list[int]] = [[number] for number in range(50_000)]
    assert len(kept) == 50_000
    assert collections[0] == 0, "each time the youngest are looked at, so are those that stayed before"
    assert collections[1] in (4, 5)
    assert collections[2] == 0


def test_what_refers_to_itself_is_freed_after_a_while(collections: Counter[int]) -> None:
    settle()
    for _ in range(50_000):
        circle: list[object] = []
        circle.append(circle)
    assert len(gc.get_objects()) < 11_000
