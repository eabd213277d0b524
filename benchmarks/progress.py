"""What the person who waits sees: one line for each row, with the running figure."""

import sys
import time
from typing import TextIO

from benchmarks.results import Cell
from benchmarks.rows import Row


class Progress:
    """Writes to a terminal by overwriting the row's line, and elsewhere a line for each sample."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._live = self._out.isatty()
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def row(self, row: Row, servers: int, rounds: int) -> None:
        self.say(f"{row.name}: {row.title} ({row.unit}); {servers} servers, {rounds} rounds")

    def measuring(self, cell: Cell, round_number: int) -> None:
        if self._live:
            self._write(f"  {self._clock()} round {round_number}  {cell.server.name} ...")

    def measured(self, cell: Cell, round_number: int) -> None:
        sample = cell.samples[-1]
        figure = f"{sample.value:.2f} {cell.row.unit}" if sample.value is not None else "no figure"
        median = f" (median {cell.value:.2f})" if cell.value is not None and len(cell.samples) > 1 else ""
        note = f"  {sample.note}" if sample.note else ""
        self._write(f"  {self._clock()} round {round_number}  {cell.server.name} {figure}{median}{note}")
        if not self._live or sample.note:
            self.say("")

    def row_done(self) -> None:
        if self._live:
            self._write("")
            print("\r", end="", file=self._out, flush=True)

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def _write(self, text: str) -> None:
        # To the line's start, and what is left of the line before is wiped.
        print(f"\r\x1b[K{text}" if self._live else text, end="", file=self._out, flush=True)
