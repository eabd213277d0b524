"""``/metrics`` in an app of one's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from starlette.applications import Starlette

from hubbub import ConfigurationError, Hub
from hubbub.core.stats import RefusalReason
from hubbub.metrics import hub_collector, metrics_routes

KEY = "a-key-for-the-metrics-0123456789-abc"
OTHER = "another-key-0123456789-abcdefghijklm"


@asynccontextmanager
async def asking(hub: Hub, *keys: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with the route."""
    transport = httpx.ASGITransport(Starlette(routes=metrics_routes(hub, keys)))
    async with hub, httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_it_is_what_prometheus_reads_in_either_format() -> None:
    async with asking(hub := Hub()) as client:
        await hub.broadcast_to_room("r", "a")
        hub.stats.refuse(RefusalReason.ORIGIN)
        plain = await client.get("/metrics")
        assert plain.headers["content-type"].startswith("text/plain")
        families = {family.name: family for family in parse(plain.text)}
        assert families["hubbub_publications"].samples[0].value == 1
        refusals = {one.labels["reason"]: one.value for one in families["hubbub_refusals"].samples}
        assert refusals == {reason.value: float(reason is RefusalReason.ORIGIN) for reason in RefusalReason}
        open_metrics = await client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
        assert {family.name for family in parse_openmetrics(open_metrics.text)} == set(families)


async def test_the_time_a_broker_takes_is_a_histogram_whose_buckets_add_up() -> None:
    async with asking(hub := Hub()) as client:
        for seconds in (0.0, 0.5, 3.0, 60.0):
            hub.stats.publishing.observe(seconds)
        text = (await client.get("/metrics")).text
        family = next(one for one in parse(text) if one.name == "hubbub_broker_publish_seconds")
        buckets = {one.labels["le"]: one.value for one in family.samples if one.name.endswith("_bucket")}
        assert (buckets["0.0001"], buckets["0.5"], buckets["5.0"], buckets["+Inf"]) == (1, 2, 3, 4)
        assert [one.value for one in family.samples if one.name.endswith("_sum")] == [63.5]


@pytest.mark.parametrize("value", ["", KEY, f"bearer {KEY}x", "Bearer", f"Basic {KEY}", "Bearer \xe9"])
async def test_without_a_good_key_it_says_nothing_and_counts_that(value: str) -> None:
    async with asking(hub := Hub(), KEY, OTHER) as client:
        headers = {"Authorization": value.encode("latin-1")} if value else {}
        answer = await client.get("/metrics", headers=headers)
        assert (answer.status_code, answer.text) == (401, "Unauthorized\n")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert hub.figures.refused == {"key": 1}


@pytest.mark.parametrize("key", [KEY, OTHER])
async def test_any_of_several_keys_is_good(key: str) -> None:
    async with asking(Hub(), KEY, OTHER) as client:
        answer = await client.get("/metrics", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"


def test_a_key_that_can_be_guessed_is_an_error() -> None:
    with pytest.raises(ConfigurationError):
        metrics_routes(Hub(), "short")


async def test_it_can_be_in_a_registry_of_ones_own() -> None:
    registry = CollectorRegistry()
    registry.register(hub_collector(hub := Hub()))
    async with hub:
        assert b"hubbub_connections 0.0" in generate_latest(registry)
