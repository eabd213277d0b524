"""The figures that the admin page lives on: of all nodes, once a second, and only while somebody looks."""

import time
from typing import Any

from admin_client import looking, seen
from server_process import ServerProcess
from socket_client import heard_json, opened


async def test_each_look_is_a_second_after_the_one_before_and_sees_what_happened(
    admin: ServerProcess,
) -> None:
    async with looking(admin) as feed:
        first = await seen(feed, lambda message: message.get("snapshot"))
        async with opened(admin, "/ws/room/feed-test?username=ada") as client:
            await client.send("hello")
            later = await seen(feed, lambda message: _with(message, "connections", 1))
            assert later["node"] == first["node"]
            assert later["rooms"] == 1
            assert later["messages_out"] > first["messages_out"]
            assert later["messages_in"] > first["messages_in"]
        gone = await seen(feed, lambda message: _with(message, "connections", 0))
        steps = round(gone["at"] - first["at"])
        assert steps >= 1
        assert 0 <= gone["lag"] < 30
        assert gone["broker"] is True
        assert gone["latency"] >= 0


async def test_whoever_comes_later_sees_the_seconds_before(admin: ServerProcess) -> None:
    async with looking(admin) as feed:
        first = await seen(feed, lambda message: message.get("snapshot"))
        async with looking(admin) as second:
            recent = (await heard_json(second))["recent"]
    assert first in recent
    assert abs((recent[-1]["at"]) - time.time()) < 30


async def test_all_nodes_are_seen_from_each_of_them(pair: tuple[ServerProcess, ServerProcess]) -> None:
    async with opened(pair[0], "/ws/room/a"), opened(pair[1], "/ws/room/b"), opened(pair[1], "/ws/room/b"):
        for server in pair:
            nodes: dict[str, int] = {}

            def all_clients(message: Any, nodes: dict[str, int] = nodes) -> bool:
                if snapshot := message.get("snapshot"):
                    nodes[snapshot["name"]] = snapshot["connections"]
                return sorted(nodes.values()) == [1, 2]

            async with looking(server) as feed:
                await seen(feed, all_clients)


async def test_a_request_that_is_none_ends_only_that_page(admin: ServerProcess) -> None:
    async with looking(admin) as feed, looking(admin) as other:
        await heard_json(feed)
        await other.send("x" * 10_000)
        await seen(feed, lambda message: message.get("snapshot"))


def _with(message: Any, name: str, value: object) -> Any:
    snapshot = message.get("snapshot")
    return snapshot if snapshot and snapshot[name] == value else None
