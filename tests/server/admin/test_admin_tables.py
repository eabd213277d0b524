"""The tables of rooms and connections: all nodes', searched, sorted and cut to pages by the server."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from admin_client import BEARER, asked
from polling import eventually
from server_process import ServerProcess
from socket_client import heard_json, opened

from hubbub.server.admin.room_table import Rates


@asynccontextmanager
async def crowd(*servers: ServerProcess, count: int, room: str, kind: str = "chat") -> AsyncIterator[None]:
    """So many plain clients in the room on each of the servers."""
    async with AsyncExitStack() as stack:
        for server in servers:
            for number in range(count):
                path = f"/{kind}/{room}?username={room}-{number:03}"
                await stack.enter_async_context(opened(server, path))
        yield


async def rooms(server: ServerProcess, **query: object) -> dict[str, Any]:
    return {row["name"]: row for row in (await asked(server, "rooms", **query))["rows"]}


async def test_rooms_are_found_by_a_part_of_their_name_with_their_figures(admin: ServerProcess) -> None:
    async with crowd(admin, count=3, room="Tables-One"), crowd(admin, count=1, room="tables-two"):
        both = await rooms(admin, search="TABLES")
        assert {name: row["members"] for name, row in both.items()} == {
            "chat:Tables-One": 3,
            "chat:tables-two": 1,
        }
        assert list(await rooms(admin, search="tables-one")) == ["chat:Tables-One"]
        assert list(await rooms(admin, search="tables", sort="members")) == [
            "chat:Tables-One",
            "chat:tables-two",
        ]
        assert both["chat:Tables-One"]["presence"] is True
        assert both["chat:Tables-One"]["nodes"] == 1
    assert not await rooms(admin, search="tables")


async def test_a_room_shows_its_rate_and_what_it_remembers(admin: ServerProcess) -> None:
    async with opened(admin, "/chat/rates?username=ada") as ada:
        await asked(admin, "rooms")

        async def rated() -> Any:
            await ada.send("hello")
            found = await rooms(admin, search="chat:rates")
            return found["chat:rates"]["rate"] and found["chat:rates"]

        row = await eventually(rated, 15)
        assert row["rate"] > 0
        assert 0 < row["history"] <= 500


async def test_rooms_come_in_pages(admin: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        for number in range(7):
            await stack.enter_async_context(opened(admin, f"/ws/room/paged-{number}"))
        seen = []
        for offset in (0, 3, 6):
            page = await asked(admin, "rooms", search="paged-", offset=offset, limit=3)
            assert page["total"] == 7
            seen += [row["name"] for row in page["rows"]]
    assert seen == [f"room:paged-{number}" for number in range(7)]


async def test_a_room_of_two_nodes_is_one_row_with_the_members_of_both(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    async with crowd(*pair, count=2, room="shared"):
        for server in pair:
            # A node that is slow to answer is left out of a page, and the next one has it.
            async def whole(server: ServerProcess = server) -> bool:
                row = (await rooms(server, search="shared")).get("chat:shared", {})
                return (row.get("members"), row.get("nodes")) == (4, 2)

            async def both(server: ServerProcess = server) -> Any:
                page = await asked(server, "connections", search="chat:shared")
                return (page["total"], page["nodes"]) == (4, 2) and page

            await eventually(whole, 15)
            page = await eventually(both, 15)
            assert len({one["node"] for one in page["rows"]}) == 2


@pytest.mark.parametrize("sort", ["newest", "oldest", "queue", "user"])
async def test_each_connection_is_on_exactly_one_page_in_every_order(
    pair: tuple[ServerProcess, ServerProcess], sort: str
) -> None:
    async with crowd(*pair, count=3, room="leafing", kind="ws/room"):

        async def leafed_through() -> list[dict[str, Any]] | None:
            rows: list[dict[str, Any]] = []
            query: dict[str, str] = {}
            while True:
                page = await asked(pair[0], "connections", search="leafing", sort=sort, limit=2, **query)
                if page["total"] != 6:  # not all have joined yet, or a node was slow to answer
                    return None
                rows += page["rows"]
                if page["next"] is None:
                    return rows
                query = {"after": json.dumps(page["next"])}

        seen = await eventually(leafed_through, 15)
        assert seen
    assert len(seen) == len({one["id"] for one in seen}) == 6
    opened_at = [one["opened_at"] for one in seen]
    if sort in ("newest", "oldest"):
        assert opened_at == sorted(opened_at, reverse=sort == "newest")


async def test_a_connection_is_described_and_found_by_whatever_is_shown_of_it(admin: ServerProcess) -> None:
    async with (
        opened(admin, "/chat/described?username=Ada%20Lovelace") as plain,
        opened(admin, "/connection/websocket") as client,
    ):
        await heard_json(plain)
        await client.send(json.dumps({"id": 1, "connect": {"name": "Sdk-X", "version": "9.9"}}))
        await heard_json(client)
        await client.send(json.dumps({"id": 2, "subscribe": {"channel": "news:described"}}))
        await heard_json(client)
        found = (await asked(admin, "connections", search="lovelace"))["rows"]
        assert [(one["rooms"], one["protocol"]) for one in found] == [(["chat:described"], "plain")]
        found = (await asked(admin, "connections", search="sdk-x 9"))["rows"]
        assert [(one["rooms"], one["protocol"]) for one in found] == [(["news:described"], "json")]
        for text in (found[0]["id"], "NEWS:described"):
            assert (await asked(admin, "connections", search=text))["rows"][0]["id"] == found[0]["id"]
        one = await asked(admin, f"connections/{found[0]['id']}")
        assert one["address"] == "127.0.0.1"
        assert (one["client"], one["transport"], one["user"]) == ("Sdk-X 9.9", "websocket", None)
        assert one["messages_in"] == 2
        assert one["bytes_out"] > 0


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("rooms", {"sort": "color"}),
        ("rooms", {"limit": 1_000}),
        ("rooms", {"limit": "many"}),
        ("rooms", {"offset": -1}),
        ("rooms", {"search": "x" * 300}),
        ("connections", {"sort": "members"}),
        ("connections", {"after": "no JSON"}),
        ("connections", {"after": "[1]"}),
        ("connections", {"after": '["ada", "id"]', "sort": "newest"}),
        ("connections", {"after": '[1.5, "id"]', "sort": "user"}),
    ],
)
async def test_a_question_that_is_none_is_refused(
    admin: ServerProcess, path: str, query: dict[str, Any]
) -> None:
    async with admin.http(headers=BEARER) as http:
        assert (await http.get(f"/admin/api/{path}", params=query)).status_code == 400


async def test_a_connection_that_is_not_there_is_not_found(admin: ServerProcess) -> None:
    async with admin.http(headers=BEARER) as http:
        assert (await http.get("/admin/api/connections/nobody")).status_code == 404


def rates_of(rates: Rates, counts: dict[str, int], now: float) -> dict[str, float]:
    look = rates.look(now)
    found = {name: look.rate(name, count) for name, count in counts.items()}
    return {name: rate for name, rate in found.items() if rate is not None}


def test_rates_are_those_between_two_looks_and_none_of_a_room_that_is_new_or_was_not_seen_for_long() -> None:
    rates = Rates()
    assert rates_of(rates, {"a": 10}, 100.0) == {}
    assert rates_of(rates, {"a": 30, "b": 5}, 102.0) == {"a": 10.0}
    assert rates_of(rates, {"a": 40, "b": 6}, 102.5) == {"a": 12.0}
    assert rates_of(rates, {"a": 40, "b": 25}, 104.0) == {"a": 5.0, "b": 10.0}
    assert rates_of(rates, {"a": 0}, 105.0) == {"a": 0.0}
    assert rates_of(rates, {"a": 9}, 500.0) == {}
