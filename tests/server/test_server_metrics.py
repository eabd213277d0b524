"""``/metrics`` of a real server: every name where it is promised, and nothing for strangers."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from polling import eventually
from prometheus_client.parser import text_string_to_metric_families
from scraping import scrape
from server_process import HUBBUB, ROOT, ServerProcess, running
from socket_client import heard_until, opened

KEY = "a-key-for-the-metrics-0123456789-abc"
BOUNDED = {"code", "reason", "le"}


@asynccontextmanager
async def clients(server: ServerProcess, count: int) -> AsyncIterator[list[object]]:
    """So many in one room, all of which have heard one message."""
    async with AsyncExitStack() as stack:
        came = [
            await stack.enter_async_context(opened(server, f"/ws/room/r?username=c{number}"))
            for number in range(count)
        ]
        await came[0].send("hello")
        for one in came:
            await heard_until(one, "[r] c0: hello")
        yield [*came]


async def test_every_metric_is_documented_and_has_bounded_labels(served: ServerProcess) -> None:
    async with clients(served, 2):
        pass
    async with served.http() as client:
        text = (await client.get("/metrics")).text
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation.endswith(".") for family in families)
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    page = (ROOT / "docs/reference/metrics.md").read_text()
    table = page.partition("## Metrics\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(hubbub_\w+)`", table, re.MULTILINE)) == names
    assert {label for family in families for one in family.samples for label in one.labels} <= BOUNDED


def names_in(path: Path) -> set[str]:
    """Every metric that a file names."""
    text = path.read_text()
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\bhubbub_\w+", text)}


@pytest.mark.parametrize("file", ["grafana/hubbub.json", "prometheus/alerts.yml"])
async def test_every_metric_of_the_dashboard_and_of_the_alerts_is_there(
    file: str, served: ServerProcess
) -> None:
    async with clients(served, 1):  # a code with which a connection was closed
        pass

    async def missing() -> bool:
        there = {re.sub(r"\[.*|_(bucket|count|sum)$", "", name) for name in await scrape(served)}
        return not names_in(ROOT / "deploy" / file) - there

    assert names_in(ROOT / "deploy" / file)
    await eventually(missing)


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/hubbub.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["expr"] for target in panel["targets"]), panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24


async def test_a_key_keeps_others_out(tmp_path: Path) -> None:
    with running([*HUBBUB, "serve", "--drain", "0"], tmp_path / "log", {"HUBBUB_METRICS_KEY": KEY}) as server:
        async with server.http() as client:
            assert (await client.get("/metrics")).status_code == 401
            good = {"Authorization": f"Bearer {server.secret(KEY)}"}
            assert (await client.get("/metrics", headers=good)).status_code == 200


def test_it_is_off_where_others_could_read_it(tmp_path: Path) -> None:
    given = {"HUBBUB_SECRET": "s" * 40 + "x1", "HUBBUB_API_KEY": "k" * 40 + "x2"}
    with running([*HUBBUB, "serve", "--drain", "0", "--host", "0.0.0.0"], tmp_path / "log", given) as server:
        assert httpx.get(f"{server.origin}/metrics").status_code == 404
        assert "metrics   off: others can reach 0.0.0.0" in server.log()


async def test_a_scrape_does_not_wait_for_anything(served: ServerProcess) -> None:
    found = await asyncio.gather(*(scrape(served) for _ in range(5)))
    assert {one["hubbub_processes"] for one in found} == {1}
