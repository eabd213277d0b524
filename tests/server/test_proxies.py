"""Which proxies are believed about a client's address, seen in the log of a server that runs."""

from pathlib import Path

import httpx
import pytest
from polling import eventually
from server_process import HUBBUB, ServerProcess, running
from socket_client import opened

from hubbub.core.errors import ConfigurationError
from hubbub.server.proxies import THIS_MACHINE, check_proxies, trusted_proxies

PROXY, OTHER = "127.0.0.2", "127.0.0.3"
"""Addresses of this machine that clients of the tests come from."""


async def address_seen(server: ServerProcess, source: str, forwarded: str) -> str:
    """The client's address in the log line of a request."""
    path = f"/health?{source}-{forwarded.replace(', ', '-')}"
    transport = httpx.AsyncHTTPTransport(local_address=source)
    async with httpx.AsyncClient(transport=transport) as http:
        await http.get(server.origin + path, headers={"X-Forwarded-For": forwarded})
    lines = await eventually(lambda: [line for line in server.log().splitlines() if path in line])
    return lines[0].split('"')[0].rpartition(":")[0].split()[-1]


async def test_only_the_trusted_proxy_is_believed_and_only_what_it_added(tmp_path: Path) -> None:
    command = [*HUBBUB, "serve", "--drain", "0", "--trusted-proxy", PROXY]
    with running(command, tmp_path / "log") as server:
        assert await address_seen(server, PROXY, "192.0.2.7") == "192.0.2.7"
        assert await address_seen(server, PROXY, "203.0.113.1, 192.0.2.7") == "192.0.2.7"
        assert await address_seen(server, OTHER, "192.0.2.8") == OTHER
        assert await address_seen(server, "127.0.0.1", "192.0.2.9") == "127.0.0.1"
        headers = {"X-Forwarded-For": "192.0.2.10"}
        options = {"local_addr": (PROXY, 0), "additional_headers": headers}
        async with opened(server, "/ws/room/x", **options):
            await eventually(lambda: '192.0.2.10:0 - "WebSocket /ws/room/x" [accepted]' in server.log())


def test_without_a_setting_uvicorns_variable_counts_and_without_that_this_machine() -> None:
    assert trusted_proxies(["10.0.0.1"], {"FORWARDED_ALLOW_IPS": "*"}) == ["10.0.0.1"]
    assert trusted_proxies([], {"FORWARDED_ALLOW_IPS": "10.0.0.1, ::1"}) == ["10.0.0.1", "::1"]
    assert trusted_proxies([], {"FORWARDED_ALLOW_IPS": ""}) == []
    assert trusted_proxies([], {}) == list(THIS_MACHINE)


@pytest.mark.parametrize(
    "slip", ["proxy.example.com", "10.0.0.0/33", "10.0.0.1/8", "10.0.0", "10.0.0.1,::1", ""]
)
def test_what_is_no_address_is_refused(slip: str) -> None:
    check_proxies(["10.0.0.1", "10.0.0.0/8", "::1", "*"])
    with pytest.raises(ConfigurationError, match="expected an address or a network"):
        check_proxies([slip])
