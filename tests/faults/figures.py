"""How large the fault tests are, and how they tell what they measured."""

import os
from collections.abc import Callable
from typing import TypeAlias

FULL = os.environ.get("HUBBUB_FAULTS") == "full"
"""Whether to run at full size; otherwise the tests are as large as a few seconds allow."""

Figures: TypeAlias = Callable[[str], None]
"""Print a line of figures, and keep it with the test's result."""


def sized(small: int, full: int) -> int:
    """One of them, after ``HUBBUB_FAULTS``."""
    return full if FULL else small


def in_time(seconds: float, promised: float) -> None:
    """Fail at full size if it took longer than was promised; a small run shares its machine with others."""
    assert not FULL or seconds < promised, f"took {seconds:.2f} s, promised were {promised} s"
