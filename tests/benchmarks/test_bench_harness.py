"""The harness, end to end on one small row, and its own arithmetic."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from benchmarks import peers, rows, targets
from benchmarks.chart import chart
from benchmarks.measure import Sample
from benchmarks.measure import take as measure
from benchmarks.progress import Progress
from benchmarks.report import tables
from benchmarks.results import Results, ratio
from benchmarks.run import run

ROOT = Path(__file__).resolve().parents[2]


def test_one_row_runs_end_to_end_and_gives_figures(tmp_path: Path) -> None:
    report, picture = tmp_path / "bench.json", tmp_path / "bench.svg"
    chosen = ["--row", "fanout-w1", "--server", "floor", "--server", "tutorial", "--rounds", "1"]
    command = [sys.executable, "-m", "benchmarks", *chosen, "--json", str(report), "--svg", str(picture)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    floor, tutorial = found["rows"][0]["servers"]
    assert floor["notes"] == tutorial["notes"] == []
    assert floor["value"] > 0
    assert tutorial["times"]["floor"] == tutorial["value"] / floor["value"]
    seen = tutorial["samples"][0]["seen"]
    assert seen["deliveries"] == 1000 * seen["messages"] > 0
    assert 0 < seen["p50_us"] <= seen["p99_us"] <= seen["max_us"]
    assert found["rows"][0]["title"] in done.stdout
    ElementTree.fromstring(picture.read_text())


def results_of(figures: dict[str, list[float | None]]) -> Results:
    """A run whose figures are given, by server and round."""
    left = {name: list(values) for name, values in figures.items()}

    def take(row: rows.Row, server: peers.Server) -> Sample:
        value = left[server.name].pop(0)
        return Sample(value, None if value is not None else "it went wrong", {})

    servers = [
        peers.Server(name, name.title(), lambda port: [], lambda: None, paths=peers.HUB_PATHS)
        for name in figures
    ]
    chosen = [rows.BY_NAME["fanout-w1"]]
    rounds = len(next(iter(figures.values())))
    return run(chosen, servers, rounds, Progress(StringIO()), take)


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    results = results_of({"hubbub": [4.0, 8.0, 40.0], "tutorial": [10.0, 20.0, 80.0]})
    hubbub, tutorial = results.cells
    assert hubbub.value == 8.0
    assert ratio(hubbub, tutorial) == 0.4


def test_a_round_without_a_figure_counts_in_no_ratio() -> None:
    results = results_of({"hubbub": [4.0, None, 6.0], "tutorial": [10.0, 20.0, None]})
    hubbub, tutorial = results.cells
    assert ratio(hubbub, tutorial) == 0.4
    assert hubbub.notes == ["it went wrong"]


def test_every_other_round_goes_backwards() -> None:
    order: list[str] = []

    def take(row: rows.Row, server: peers.Server) -> Sample:
        order.append(server.name)
        return Sample(1.0, None, {})

    servers = [peers.Server(name, name, lambda port: [], lambda: None) for name in "ab"]
    run([rows.BY_NAME["fanout-w1"]], servers, 3, Progress(StringIO()), take)
    assert "".join(order) == "abbaab"


def test_a_server_that_cannot_run_keeps_its_line_with_the_reason() -> None:
    servers = [
        peers.Server("gone", "Gone server", lambda port: [], lambda: "not installed"),
        peers.Server("echoes", "Echo server", lambda port: [], lambda: None, paths={peers.ECHO: "/"}),
    ]

    def take(row: rows.Row, server: peers.Server) -> Sample:
        raise AssertionError("nothing here can be measured")

    results = run([rows.BY_NAME["fanout-w1"]], servers, 1, Progress(StringIO()), take)
    text = tables(results)
    assert "not run: not installed" in text
    assert "not run: has no fanout part" in text


def test_every_target_is_of_a_row_in_which_its_servers_take_part() -> None:
    for target in targets.ALL:
        asks = rows.BY_NAME[target.row].asks
        for name in filter(None, (target.server, target.beside)):
            assert set(asks) & set(peers.BY_NAME[name].paths), (target.row, name)


def test_the_row_about_connections_runs_with_clients_of_the_protocol() -> None:
    server = peers.BY_NAME["hubbub-centrifuge"]
    row = replace(rows.BY_NAME["connect"], load=("--mode", "idle", "--connections", "20"))
    sample = measure(row, server)
    assert sample.note is None
    assert sample.value is not None
    assert sample.value > 0
    assert sample.seen["connections"] == 20


@pytest.mark.parametrize(
    "figures", [{"hubbub": [4.0], "tutorial": [10.0], "channels": [400.0]}, {"gone": [None]}]
)
def test_the_chart_is_well_formed_and_names_every_server_with_a_figure(figures: dict[str, Any]) -> None:
    picture = chart(results_of(figures))
    texts = [
        element.text for element in ElementTree.fromstring(picture).iter() if element.tag.endswith("text")
    ]
    assert [name.title() in texts for name in figures] == [
        values[0] is not None for values in figures.values()
    ]
