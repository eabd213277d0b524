"""One measurement: one row on one fresh server, once."""

import time
from dataclasses import dataclass
from typing import Any

from benchmarks.build import build
from benchmarks.load import Load, LoadError
from benchmarks.peers import Server
from benchmarks.process import ServerProcess, StartError, cores, free_port, machine_busy_seconds
from benchmarks.rows import Kind, Row

# A run is stopped after so long from its first connection, and when nothing has arrived for so long.
RUN_SECONDS = 30
STUCK_SECONDS = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """A figure in the row's unit, or None with the reason; and all that was seen, for the JSON report."""

    value: float | None
    note: str | None
    seen: dict[str, Any]


def take(row: Row, server: Server) -> Sample:
    """Measures. What goes wrong on the server's side is a Sample with a note, never an exception."""
    try:
        if row.kind is Kind.STALLED:
            return _stalled(row, server)
        if row.kind is Kind.MEMORY:
            return _memory(row, server)
        return _single(row, server)
    except (StartError, LoadError) as error:
        return Sample(None, str(error), {})


def _start(server: Server) -> tuple[ServerProcess, int]:
    port = free_port()
    core, _ = cores()
    return ServerProcess(server.name, server.argv(port), port, core, server.env), port


def _load(row: Row, server: Server, port: int, *more: str) -> Load:
    asked = next(ability for ability in row.asks if ability in server.paths)
    _, core = cores()
    limits = ("--timeout", str(RUN_SECONDS), "--stuck", str(STUCK_SECONDS))
    arguments = (*limits, *row.load, *server.load, "--path", server.paths[asked], *more)
    return Load(build("loadgen"), arguments, port, core)


def _single(row: Row, server: Server, *more: str) -> Sample:
    process, port = _start(server)
    with process:
        process.settle()
        at_start = process.cpu()
        with _load(row, server, port, *more) as load:
            ready = load.ready()
            process.settle(1.0)
            at_ready = process.cpu()
            busy, began = machine_busy_seconds(), time.monotonic()
            done = load.go()
            at_end = process.cpu()
            others = machine_busy_seconds() - busy - (at_end - at_ready) - done["cpu_seconds"]
            elapsed = time.monotonic() - began
    seen = {**ready, **done, "connect_cpu": at_ready - at_start, "server_cpu": at_end - at_ready}
    seen["others_percent"] = max(0.0, others / elapsed * 100)
    if row.kind is Kind.CONNECT:
        return Sample(seen["connect_cpu"] / ready["connections"] * 1e6, None, seen)
    note = fault(seen)
    if seen["deliveries"] == 0:
        return Sample(None, note or "nothing was delivered", seen)
    seen["cpu_us"] = seen["server_cpu"] / seen["deliveries"] * 1e6
    seen["load_us"] = seen["cpu_seconds"] / seen["deliveries"] * 1e6
    if row.kind is Kind.PUBLISH:
        return Sample(seen["seconds"] / seen["messages"] * 1e6, note, seen)
    if row.kind is Kind.CPU:
        return Sample(seen["cpu_us"], note, seen)
    # The p99 of what came says nothing when some did not come.
    return Sample(seen["p99_us"] / 1e3 if seen["complete"] else None, note, seen)


def _memory(row: Row, server: Server) -> Sample:
    # The second half of the connections is weighed: the first has loaded what is loaded late, and has used up
    # the free memory that a start leaves behind.
    half = _connections(row) // 2
    process, port = _start(server)
    with process, _load(row, server, port, "--connections", str(half)) as first:
        first.ready()
        process.settle()
        before = process.memory()
        with _load(row, server, port, "--connections", str(half)) as second:
            ready = second.ready()
            process.settle()
            after = process.memory()
    seen = {**ready, "bytes_before": before, "bytes_after": after}
    return Sample((after - before) / half / 1024, None, seen)


def _stalled(row: Row, server: Server) -> Sample:
    without = _single(row, server)
    beside = _single(row, server, "--connections", str(_connections(row) + 1), "--stalled", "1")
    seen: dict[str, Any] = {"without": without.seen, "with": beside.seen}
    if without.value is None or beside.value is None:
        note = without.note if without.value is None else f"with a stalled member: {beside.note}"
        return Sample(None, note, seen)
    seen["remark"] = (
        f"p99 {beside.value:.2f} ms, without {without.value:.2f} ms; the stalled one: {_ending(beside.seen)}"
    )
    return Sample(beside.value / without.value, without.note or beside.note, seen)


def _ending(seen: dict[str, Any]) -> str:
    if seen["stalled_closed"]:
        return (
            "closed without a word" if seen["stalled_code"] == 1006 else f"closed with {seen['stalled_code']}"
        )
    return f"kept open, {seen['stalled_bytes'] / 1e6:.1f} MB waited for it"


def _connections(row: Row) -> int:
    return int(row.load[row.load.index("--connections") + 1])


def fault(seen: dict[str, Any]) -> str | None:
    """What the load generator found wrong, in words, or None. No figure counts without a look at this."""
    found = []
    if not seen["complete"]:
        found.append(f"stopped: {seen['deliveries']} deliveries came, {seen['lost']} did not")
    kinds = ("doubled", "reordered", "damaged", "foreign", "closed")
    found += [f"{seen[kind]} {kind}" for kind in kinds if seen[kind]]
    return ", ".join(found) or None
