"""`python -m benchmarks`: runs the bench and prints its tables."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import peers, rows
from benchmarks.build import BuildError, build
from benchmarks.chart import chart
from benchmarks.install import install_peers
from benchmarks.process import raise_file_limit
from benchmarks.progress import Progress
from benchmarks.report import as_json, tables
from benchmarks.run import run

ROUNDS = 3
# The quick run: does the hub beat the tutorial's manager, and by how much?
QUICK_SERVERS = ("floor", "hubbub", "hubbub-stock", "tutorial")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures Hubbub beside other servers."
    )
    found.add_argument(
        "--quick", action="store_true", help="only fan-out to 1,000 members, in under a minute"
    )
    found.add_argument("--row", action="append", choices=[row.name for row in rows.ALL], metavar="NAME")
    found.add_argument(
        "--server", action="append", choices=[server.name for server in peers.ALL], metavar="NAME"
    )
    found.add_argument(
        "--rounds", type=int, default=ROUNDS, help=f"alternating rounds, {ROUNDS} unless given"
    )
    found.add_argument("--json", type=Path, metavar="FILE", help="write everything that was seen")
    found.add_argument("--svg", type=Path, metavar="FILE", help="write the chart")
    found.add_argument(
        "--list", action="store_true", help="list rows and servers, and which of them can run here"
    )
    found.add_argument(
        "--install-peers", action="store_true", help="install the optional peers into .bench/, and stop"
    )
    return found


def listing() -> str:
    """Rows and servers, each server with the reason when it cannot run here."""
    lines = ["rows:", *(f"  {row.name:<18}{row.title}" for row in rows.ALL), "servers:"]
    for server in peers.ALL:
        reason = server.missing()
        lines.append(f"  {server.name:<18}{server.title}{f'  (not here: {reason})' if reason else ''}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 when the run is done, whatever the figures; 1 when it could not be made."""
    options = parser().parse_args(argv)
    if sys.platform != "linux":
        print("the bench needs Linux: epoll, /proc and CPU clocks of other processes", file=sys.stderr)
        return 1
    if options.install_peers:
        return install_peers()
    if options.list:
        print(listing())
        return 0
    try:
        build("loadgen")
        build("floor")
    except BuildError as error:
        print(f"the load generator cannot be built: {error}", file=sys.stderr)
        return 1
    raise_file_limit()
    names = options.row or [row.name for row in rows.ALL if row.quick or not options.quick]
    servers = options.server or (QUICK_SERVERS if options.quick else [server.name for server in peers.ALL])
    progress = Progress()
    results = run(
        [rows.BY_NAME[name] for name in names],
        [peers.BY_NAME[name] for name in servers],
        max(1, options.rounds),
        progress,
    )
    print(tables(results))
    if options.json:
        options.json.write_text(json.dumps(as_json(results, options.rounds), indent=1) + "\n")
    if options.svg:
        options.svg.write_text(chart(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
