"""The results as tables for a terminal and as JSON for everything else."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.results import Cell, Results, ratio
from benchmarks.rows import Kind, Row
from benchmarks.targets import ALL as TARGETS

PACKAGES = ("hubbub", "fastapi", "starlette", "uvicorn", "uvloop", "httptools", "websockets")


def tables(results: Results) -> str:
    """One table for each row, then what Hubbub is to reach, then what to think of the run."""
    parts = [_table(results, row) for row in results.rows()]
    return "\n\n".join([*parts, _targets(results), _trust(results)]) + "\n"


def _trust(results: Results) -> str:
    """Two things that can spoil a run: a load generator that costs too much, other work on the machine."""
    costs = [(cell, cell.seen("load_us"), cell.seen("cpu_us")) for cell in results.cells]
    dear = [
        f"{cell.server.name} in {cell.row.name}"
        for cell, load, server in costs
        if load and server and load > server
    ]
    lines = [f"The load generator cost more than the server: {', '.join(dear) or 'nowhere'}."]
    others = [cell.seen("others_percent") for cell in results.cells]
    found = [percent for percent in others if percent is not None]
    if found:
        lines.append(
            f"Other work on the machine, in percent of one core: median {median(found):.0f},"
            f" most {max(found):.0f}. Latencies mean little above 5."
        )
    return "\n".join(lines)


def _table(results: Results, row: Row) -> str:
    cells = results.of_row(row)
    beside = [
        cell for name in row.beside for cell in cells if cell.server.name == name and cell.value is not None
    ]
    latency = row.kind in (Kind.CPU, Kind.LATENCY, Kind.PUBLISH)
    heads = [
        row.unit,
        *(f"x {cell.server.name}" for cell in beside),
        *(["p50 ms", "p99 ms"] if latency else []),
    ]
    lines = [f"{row.title} [{row.name}]", f"  {'':<40}" + "".join(f"{head:>13}" for head in heads)]
    for cell in cells:
        figures = [_number(cell.value), *(_number(ratio(cell, other)) for other in beside)]
        if latency:
            figures += [_milliseconds(cell, "p50_us"), _milliseconds(cell, "p99_us")]
        text = "".join(f"{figure:>13}" for figure in figures)
        lines.append(
            f"  {cell.server.title:<40}{_words(cell) if cell.value is None else text + _aside(cell)}"
        )
    return "\n".join(lines)


def _words(cell: Cell) -> str:
    return "; ".join(cell.notes)


def _aside(cell: Cell) -> str:
    """Behind the figures: what went wrong, and the remark of the last round."""
    remark = cell.samples[-1].seen.get("remark")
    found = [*cell.notes, *([remark] if remark else [])]
    return f"  ({'; '.join(found)})" if found else ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 1000 else f"{value:.0f}"


def _milliseconds(cell: Cell, name: str) -> str:
    value = cell.seen(name)
    return _number(value / 1000 if value is not None else None)


def _targets(results: Results) -> str:
    lines = ["What Hubbub is to reach, and what this run shows"]
    rows = {row.name: row for row in results.rows()}
    for target in TARGETS:
        if target.row not in rows:
            continue
        unit = f"x {target.beside}" if target.beside else rows[target.row].unit
        reached = results.reached(target)
        verdict = "not run" if reached is None else "reached" if reached <= target.at_most else "NOT reached"
        figures = f"{_number(reached):>8} of at most {target.at_most:<4.3g} {unit:<16}"
        lines.append(f"  {target.row:<16}{target.server:<18}{figures} {verdict}")
    return "\n".join(lines)


def as_json(results: Results, rounds: int) -> dict[str, Any]:
    """Everything that was seen, with the machine and the versions."""
    return {
        "machine": _machine(),
        "versions": {name: _version(name) for name in PACKAGES},
        "rounds": rounds,
        "rows": [_row_json(results, row) for row in results.rows()],
        "targets": [
            {
                "row": target.row,
                "server": target.server,
                "beside": target.beside,
                "at_most": target.at_most,
                "reached": results.reached(target),
            }
            for target in TARGETS
        ],
    }


def _row_json(results: Results, row: Row) -> dict[str, Any]:
    cells = results.of_row(row)
    beside = [cell for name in row.beside for cell in cells if cell.server.name == name]
    return {
        "name": row.name,
        "title": row.title,
        "unit": row.unit,
        "kind": row.kind.value,
        "servers": [
            {
                "name": cell.server.name,
                "title": cell.server.title,
                "value": cell.value,
                "times": {other.server.name: ratio(cell, other) for other in beside},
                "not_run": cell.not_run,
                "notes": cell.notes,
                "samples": [{"value": s.value, "note": s.note, "seen": s.seen} for s in cell.samples],
            }
            for cell in cells
        ],
    }


def _machine() -> dict[str, Any]:
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": sys.version.split()[0],
        "congestion_control": congestion.read_text().strip() if congestion.exists() else None,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
