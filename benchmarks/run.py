"""The order of the measurements: rows in turn, and in each row round after round over all its servers."""

from collections.abc import Callable, Sequence

from benchmarks.measure import Sample, take
from benchmarks.peers import Server
from benchmarks.progress import Progress
from benchmarks.results import Cell, Results
from benchmarks.rows import Row

Take = Callable[[Row, Server], Sample]


def run(
    rows: Sequence[Row], servers: Sequence[Server], rounds: int, progress: Progress, take: Take = take
) -> Results:
    """Measures every row on every server that can. A server that cannot keeps its place, with the reason.

    Ctrl-C ends the run early; what was measured until then is still reported.
    """
    results = Results()
    missing = {server.name: server.missing() for server in servers}
    for row in rows:
        cells = [
            Cell(row, server, not_run=_reason(row, server, missing))
            for server in servers
            if _no_part(row, server) is None or (row.lists_all and server.listed_everywhere)
        ]
        results.cells += cells
        try:
            _rounds(row, [cell for cell in cells if cell.not_run is None], rounds, progress, take)
        except KeyboardInterrupt:
            progress.say("\nended early")
            break
    return results


def _reason(row: Row, server: Server, missing: dict[str, str | None]) -> str | None:
    reason = missing[server.name] or _no_part(row, server)
    return f"not run: {reason}" if reason else None


def _no_part(row: Row, server: Server) -> str | None:
    """Why the server takes no part in the row, or None when it does."""
    reasons = [server.lacks(ability) for ability in row.asks]
    return reasons[0] if all(reasons) else None


def _rounds(row: Row, cells: list[Cell], rounds: int, progress: Progress, take: Take) -> None:
    progress.row(row, len(cells), rounds)
    for number in range(1, rounds + 1):
        # Every other round backwards: a machine that gets steadily slower or faster favours nobody.
        for cell in cells if number % 2 else reversed(cells):
            progress.measuring(cell, number)
            cell.samples.append(take(row, cell.server))
            progress.measured(cell, number)
    progress.row_done()
