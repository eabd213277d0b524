"""The rows about publishing: each server beside a broker of its own, really run, and nothing left behind."""

from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from benchmarks import peers, rows
from benchmarks.measure import take
from benchmarks.progress import Progress
from benchmarks.run import run


def brief(name: str) -> rows.Row:
    """The row, over in half a second."""
    row = rows.BY_NAME[name]
    short = {"--warmup": "0.1", "--seconds": "0.4"}
    load = list(row.load)
    for option, seconds in short.items():
        load[load.index(option) + 1] = seconds
    return replace(row, load=tuple(load))


def processes_with(value: str) -> list[str]:
    """Command lines of the processes that have a value in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if value.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize(
    ("row", "server", "members"),
    [
        ("publish", "hubbub-sqlite", 1),
        ("publish-workers", "hubbub-redis", 64),
    ],
)
def test_every_publication_arrives_once_and_nothing_is_left_behind(
    tmp_path: Path, row: str, server: str, members: int
) -> None:
    if reason := peers.BY_NAME[server].missing():
        pytest.fail(reason)
    sample = take(brief(row), replace(peers.BY_NAME[server], env={"BENCH_DATA": str(tmp_path)}))
    assert sample.note is None
    assert sample.seen["deliveries"] == members * sample.seen["messages"] > 0
    assert sample.value == sample.seen["seconds"] / sample.seen["messages"] * 1e6
    assert processes_with(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_rows_about_publishing_list_only_servers_that_take_part_in_them() -> None:
    servers = [replace(server, missing=lambda: None) for server in peers.ALL]
    chosen = [rows.BY_NAME[name] for name in ("publish", "publish-workers", "echo")]
    found = run(chosen, servers, 0, Progress(StringIO())).cells
    publish, workers, echo = ({cell.server.name for cell in found if cell.row is row} for row in chosen)
    assert publish == {"hubbub-history", "hubbub-sqlite", "hubbub-redis"}
    assert workers == {"hubbub-redis", "tutorial-redis"}
    assert {"picows", "channels", "floor"} <= echo
    assert not {"hubbub-history", "tutorial-redis"} & echo
