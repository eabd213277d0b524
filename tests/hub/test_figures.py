"""Figures: what a hub, a room and a connection have done, and how they stand."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from guests import guest, route
from polling import eventually, turns
from starlette.websockets import WebSocket

from hubbub import BrokerError, Hub, LimitReached, Limits, Position
from hubbub.brokers import MemoryBroker
from hubbub.core.messages import Payload, Publication
from hubbub.testing import connect


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub() as hub:
        yield hub


async def test_a_hub_counts_who_is_here_and_how_they_went(hub: Hub) -> None:
    async with guest(hub, rooms=("a", "b")) as ada:
        async with guest(hub, rooms=("b",)) as bob:
            now = hub.figures
            assert (now.connections, now.rooms, now.members, now.opened, now.closed) == (2, 2, 3, 2, {})
            await bob.client.close(3999)
        await ada.me.close(1008)
    now = hub.figures
    assert (now.connections, now.rooms, now.members, now.opened) == (0, 0, 0, 2)
    assert now.closed == {"3xxx": 1, "1008": 1}


async def test_a_connection_that_is_forgotten_while_it_is_open_has_no_code(hub: Hub) -> None:
    async with guest(hub) as ada:
        hub.disconnect(ada.me)
        assert hub.figures.closed == {"none": 1}
    assert hub.figures.closed == {"none": 1}


async def test_what_clients_send_is_counted_in_bytes_of_utf8(hub: Hub) -> None:
    async with guest(hub) as ada:
        await ada.client.send("h\u00e9")
        await ada.client.send(b"\x00\x01")
        await eventually(lambda: hub.figures.messages_in == 2)
        assert (hub.figures.bytes_in, ada.me.figures.messages_in, ada.me.figures.bytes_in) == (5, 2, 5)


async def test_what_goes_out_is_counted_for_the_hub_the_room_and_each_member(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        await hub.broadcast_to_room("r", "abc")
        async with guest(hub, rooms=("r",), envelope=True) as bob:
            await hub.broadcast_to_room("r", "de")
            await hub.broadcast("f")
            await bob.me.send("personal")
            await turns()
            room, all_of_it = hub.room_figures("r"), hub.figures
            assert room is not None
            assert (room.name, room.members, room.publications, room.deliveries) == ("r", 2, 2, 3)
            assert hub.all_room_figures() == [room]
            heard = [len(text) for text in await bob.received()]
            told = len(heard) - 3  # that it has joined
            assert (bob.me.figures.messages_out, bob.me.figures.bytes_out) == (len(heard), sum(heard))
            assert (ada.me.figures.messages_out, ada.me.figures.bytes_out) == (3, 6)
            assert (all_of_it.publications, all_of_it.deliveries) == (3, 5)
            assert all_of_it.messages_out == 5 + 1 + told
            assert all_of_it.bytes_out == 6 + sum(heard)
        before = ada.me.figures
        ada.me.leave("r")
        await hub.broadcast_to_room("r", "nobody hears it")
        assert ada.me.figures == before
        assert (hub.room_figures("r"), hub.figures.publications) == (None, 4)


async def test_what_a_connection_got_is_still_known_when_it_has_ended(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        for _ in range(3):
            await hub.broadcast_to_room("r", "abc")
        await ada.me.close()
        assert (ada.me.figures.messages_out, ada.me.figures.bytes_out) == (3, 9)


async def test_what_waits_for_slow_clients_is_known_and_its_most_is_kept() -> None:
    async with Hub(limits=Limits(outbox_bytes=1_000_000)) as hub:
        async with guest(hub, rooms=("r",)) as ada:
            ada.client.pause()
            for _ in range(100):
                await hub.broadcast_to_room("r", "x" * 1_000)
            await turns()
            now, of_ada = hub.figures, ada.me.figures
            assert 90_000 < now.queued_bytes == of_ada.queued_bytes <= now.queued_most == of_ada.queued_most
            ada.client.resume()
        assert (hub.figures.queued_bytes, hub.figures.queued_most) == (0, of_ada.queued_most)


class Failing(MemoryBroker):
    """Takes its time, or fails."""

    fails = False

    async def publish(self, room: str, payload: Payload, **options: object) -> Publication:  # type: ignore[override]
        if self.fails:
            raise BrokerError("not today")
        return await super().publish(room, payload)

    @property
    def immediate(self) -> bool:
        """As if it had a link."""
        return False

    @property
    def repaired(self) -> int:
        """As if it had one."""
        return 7


async def test_the_broker_is_measured() -> None:
    hub = Hub(broker := Failing())
    assert not hub.figures.broker_connected
    async with hub:
        await hub.broadcast_to_room("r", "a")
        broker.fails = True
        with pytest.raises(BrokerError):
            await hub.broadcast_to_room("r", "b")
        now = hub.figures
        assert (now.publications, now.broker_errors, now.broker_connected, now.repaired) == (1, 1, True, 7)
        assert now.publishing.count == 1
        assert 0 < now.publishing.sum < 5


async def test_a_broker_that_never_waits_is_counted_and_not_timed() -> None:
    hub = Hub("memory://")
    async with hub:
        await hub.broadcast_to_room("r", "a")
        assert (hub.figures.publications, hub.figures.publishing.count) == (1, 0)


async def test_rooms_that_lost_publications_for_good_are_counted(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)):
        hub._members.interrupted("r", Position("new", 7))
        assert hub.figures.interrupted == 1


async def test_a_loop_that_was_busy_is_seen_for_a_while(hub: Hub) -> None:
    assert hub.figures.loop_lag_most < 0.2
    loop = asyncio.get_running_loop()

    def block() -> bool:
        end = loop.time() + 0.3
        while loop.time() < end:
            pass
        return hub.figures.loop_lag_most > 0.04

    await eventually(block)
    await eventually(lambda: hub.figures.loop_lag < 0.04)
    assert hub.figures.loop_lag_most > 0.04


async def test_a_refused_client_is_counted_by_its_reason(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me:
            await me.join("no such name")

    async with connect(route(handler)) as client:
        await client.wait_closed()

    async def limited(websocket: WebSocket) -> None:
        async with hub.connection(websocket):
            raise LimitReached("No more")

    async with connect(route(limited)) as client:
        await client.wait_closed()
    assert hub.figures.refused == {"room_name": 1, "limit": 1}
