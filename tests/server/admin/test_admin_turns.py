"""Looking at all connections, or all rooms, is done a few in each turn of the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from fastapi import WebSocket
from guests import route

from hubbub import Hub, Limits
from hubbub.connection import Connection
from hubbub.core.figures import RoomFigures
from hubbub.hub.survey import Survey
from hubbub.server.admin import room_table
from hubbub.server.admin.connection_rows import ConnectionRow, ConnectionRows
from hubbub.server.admin.connection_table import DESCRIBED, LOOKED_AT, ConnectionQuery, ConnectionTable
from hubbub.server.admin.room_table import RoomQuery, RoomRow, RoomTable, Sort
from hubbub.testing import connect

COUNT = 2 * LOOKED_AT + 10


class Watched(ConnectionRows):
    """Notes in which turn of the loop it was asked for what."""

    turn = 0

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub.gateway.everywhere.clients, hub.parts.nodes.id)
        self.looked: dict[int, int] = {}
        self.made: dict[int, int] = {}
        self.on_row: Callable[[], None] = lambda: None

    def is_about(self, connection: Connection, text: str) -> bool:
        self.looked[self.turn] = self.looked.get(self.turn, 0) + 1
        return super().is_about(connection, text)

    def row(self, connection: Connection, rooms: int | None = 5) -> ConnectionRow:
        self.made[self.turn] = self.made.get(self.turn, 0) + 1
        self.on_row()
        return super().row(connection, rooms)

    async def count_turns(self) -> None:
        while True:
            self.turn += 1
            await asyncio.sleep(0)


@pytest.fixture
async def crowded() -> AsyncIterator[tuple[Hub, Watched, ConnectionTable]]:
    """A hub with many connections, and its table."""
    hub = Hub()
    assert hub.gateway
    async with hub, AsyncExitStack() as stack:

        async def handler(websocket: WebSocket) -> None:
            async with hub.connection(websocket) as me:
                await me.wait_closed()

        for _ in range(COUNT):
            await stack.enter_async_context(connect(route(handler)))
        rows = Watched(hub)
        survey = Survey(hub.parts.nodes, hub.parts.signals, hub.parts.clock)
        counting = asyncio.create_task(rows.count_turns())
        yield hub, rows, ConnectionTable(hub.parts, survey, rows)
        counting.cancel()
        await survey.stop()


async def test_a_page_is_made_in_slices(crowded: tuple[Hub, Watched, ConnectionTable]) -> None:
    _, rows, table = crowded
    page = await table.page(ConnectionQuery(search="e", limit=200))
    assert sum(rows.looked.values()) == COUNT
    assert max(rows.looked.values()) <= LOOKED_AT
    assert sum(rows.made.values()) == 201
    assert max(rows.made.values()) <= DESCRIBED
    ids = [row["id"] for row in page["rows"]]  # type: ignore[attr-defined]
    assert len(set(ids)) == 200


async def test_connections_that_end_meanwhile_are_not_in_the_way(
    crowded: tuple[Hub, Watched, ConnectionTable],
) -> None:
    hub, rows, table = crowded

    def end_all() -> None:
        rows.on_row = lambda: None
        for one in hub.connections:
            one.end()

    rows.on_row = end_all
    page = await table.page(ConnectionQuery(sort="oldest", limit=200))
    assert page["total"] == COUNT
    assert len(page["rows"]) == 200  # type: ignore[arg-type]
    assert (await table.page(ConnectionQuery()))["rows"] == []


ROOMS = 3 * room_table.LOOKED_AT + 10


class Inspected(Hub):
    """Notes how often it was asked for a room's figures since `begin_turn`."""

    looked = 0
    most = 0

    def room_figures(self, room: str) -> RoomFigures | None:
        self.looked += 1
        self.most = max(self.most, self.looked)
        return super().room_figures(room)

    async def count_turns(self) -> None:
        while True:
            self.looked = 0
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("sort", "offset"), [("name", 0), ("members", 2 * room_table.LOOKED_AT), ("rate", 0)]
)
async def test_a_page_of_rooms_is_made_in_slices(
    sort: Sort, offset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Inspected(limits=Limits(rooms_per_connection=ROOMS))
    assert hub.gateway
    order, compared = room_table._ORDERS[sort], [0]

    def counted(row: RoomRow) -> object:
        compared[-1] += 1
        return order(row)

    async def count_turns() -> None:
        while True:
            compared.append(0)
            await asyncio.sleep(0)

    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me:
            for number in range(ROOMS):
                await me.join(f"r{number:04}")
            await me.send("in")
            await me.wait_closed()

    monkeypatch.setitem(room_table._ORDERS, sort, counted)
    async with hub, connect(route(handler)) as client:
        await client.receive(10)
        survey = Survey(hub.parts.nodes, hub.parts.signals, hub.parts.clock)
        counting = [asyncio.create_task(count_turns()), asyncio.create_task(hub.count_turns())]
        page = await RoomTable(hub, hub.parts, survey).page(RoomQuery(sort=sort, offset=offset, limit=200))
        for task in counting:
            task.cancel()
        await survey.stop()
        assert 0 < hub.most <= room_table.LOOKED_AT
        assert (
            0 < max(compared) <= 2 * room_table.LOOKED_AT
        )  # a row of each part, and one for each that is taken
        names = [row["name"] for row in page["rows"]]  # type: ignore[attr-defined]
        assert names == [f"r{number:04}" for number in range(offset, min(offset + 200, ROOMS))]
        assert page["total"] == ROOMS
