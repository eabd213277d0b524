"""The table of figures that `make loads` ends with."""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

import pytest

FIGURE: Final = "load figure"
"""The name of a test's property that is a line of the table."""


class Tell(Protocol):
    """Put a figure into the table."""

    def __call__(self, figure: str, value: str, promise: str = "") -> None:
        """Its name, the value with its unit, and what was promised."""


def rows(reports: Iterable[pytest.TestReport]) -> list[str]:
    """The lines of the table."""
    cells = [("row", "figure", "measured", "promised"), *_cells(reports)]
    if len(cells) == 1:
        return []
    widths = [max(len(one[column]) for one in cells) for column in range(4)]
    return ["  ".join(text.ljust(width) for text, width in zip(one, widths, strict=True)) for one in cells]


def _cells(reports: Iterable[pytest.TestReport]) -> Iterator[tuple[str, str, str, str]]:
    for report in reports:
        name = report.nodeid.partition("::")[0].rpartition("/test_")[2].removesuffix(".py")
        name = name.replace("_", " ")
        for property, told in report.user_properties:
            if property == FIGURE:
                figure, value, promise = told
                yield name if not report.failed else f"{name} (FAILED)", figure, value, promise
