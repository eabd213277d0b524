"""What a run has found: samples by row, server and round; their medians and their ratios."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from benchmarks.measure import Sample
from benchmarks.peers import Server
from benchmarks.rows import Row
from benchmarks.targets import Target


@dataclass(slots=True)
class Cell:
    """One server in one row: a sample for each round, or the reason why there are none."""

    row: Row
    server: Server
    not_run: str | None = None
    samples: list[Sample] = field(default_factory=list)

    @property
    def values(self) -> list[float]:
        return [sample.value for sample in self.samples if sample.value is not None]

    @property
    def value(self) -> float | None:
        """The median of the rounds, or None when no round gave a figure."""
        return median(self.values) if self.values else None

    @property
    def notes(self) -> list[str]:
        """What went wrong, each thing once."""
        found = [self.not_run] if self.not_run else []
        return list(dict.fromkeys([*found, *(sample.note for sample in self.samples if sample.note)]))

    def seen(self, name: str) -> float | None:
        """The median of one of the load generator's or the harness's figures."""
        found = [
            sample.seen[name] for sample in self.samples if isinstance(sample.seen.get(name), int | float)
        ]
        return float(median(found)) if found else None


def ratio(cell: Cell, beside: Cell) -> float | None:
    """How many times `beside` a cell costs: the median of the rounds' ratios.

    Both were measured within seconds of each other in every round, so what slows the whole machine
    for a while falls out; a ratio of the two medians would keep it.
    """
    pairs = zip(cell.samples, beside.samples, strict=False)
    found = [a.value / b.value for a, b in pairs if a.value is not None and b.value]
    return median(found) if found else None


@dataclass(slots=True)
class Results:
    """All cells of a run, in the order of the tables."""

    cells: list[Cell] = field(default_factory=list)

    def rows(self) -> list[Row]:
        return list(dict.fromkeys(cell.row for cell in self.cells))

    def of_row(self, row: Row) -> list[Cell]:
        return [cell for cell in self.cells if cell.row is row]

    def find(self, row: str, server: str) -> Cell | None:
        found: Iterable[Cell] = (c for c in self.cells if c.row.name == row and c.server.name == server)
        return next(iter(found), None)

    def reached(self, target: Target) -> float | None:
        """The figure that a target is about, or None when this run has not got it."""
        cell = self.find(target.row, target.server)
        if cell is None:
            return None
        if target.beside is None:
            return cell.value
        beside = self.find(target.row, target.beside)
        return ratio(cell, beside) if beside is not None else None
