"""Scrapes of a running server."""

from prometheus_client.parser import text_string_to_metric_families
from server_process import ServerProcess


async def scrape(server: ServerProcess) -> dict[str, float]:
    """The samples by name and labels, like ``hubbub_refusals_total[origin]``."""
    async with server.http(timeout=60) as client:  # on a connection of its own: any worker may answer
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    return {
        one.name + "".join(f"[{value}]" for value in one.labels.values()): one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }
