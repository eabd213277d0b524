"""Coming back to a room: exactly what was missed, once, in order, or a clear no."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from guests import Guest, guest
from polling import eventually, turns

from hubbub import BrokerError, Disconnected, History, Hub, Limits, Position, Publication
from hubbub.brokers import HistoryPage, MemoryBroker
from hubbub.testing import UNREAD

KEEP = History(size=5, ttl=60.0)


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub()
    hub.room("r{rest:path}", history=KEEP)
    hub.room("r", history=KEEP)
    async with hub:
        yield hub


async def say(hub: Hub, *payloads: str) -> list[Publication]:
    return [await hub.broadcast_to_room("r", payload) for payload in payloads]


def place(publication: Publication) -> Position:
    assert publication.position is not None
    return publication.position


async def read(one: Guest) -> list[dict[str, Any]]:
    return [json.loads(message) for message in await one.received()]


def short(messages: list[dict[str, Any]]) -> list[Any]:
    """Publications by their data, notices by their kind."""
    return [one["data"] if one["type"] == "publication" else one["type"] for one in messages]


# The envelope


async def test_an_enveloped_client_learns_where_it_stands(hub: Hub) -> None:
    async with guest(hub, rooms=("r", "plain"), envelope=True) as ada:
        made = await hub.broadcast_to_room("r", {"n": 1}, publisher="eve", tags={"kind": "news"})
        await hub.broadcast_to_room("r", "text")
        await hub.broadcast_to_room("plain", b"\x00\xff")
        joined, also_joined, first, second, third = await read(ada)
    epoch = place(made).epoch
    assert joined == {"type": "joined", "room": "r", "epoch": epoch, "offset": 0}
    assert also_joined == {"type": "joined", "room": "plain"}
    assert first == {
        "type": "publication",
        "room": "r",
        "data": {"n": 1},
        "time": made.time,
        "epoch": epoch,
        "offset": 1,
        "publisher": "eve",
        "tags": {"kind": "news"},
    }
    assert (second["data"], second["offset"]) == ("text", 2)
    assert (third["data"], third["encoding"]) == ("AP8=", "base64")
    assert "offset" not in third


async def test_plain_and_enveloped_members_of_one_room_get_the_same_publications(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as plain, guest(hub, rooms=("r",), envelope=True) as wrapped:
        await say(hub, "a", "b")
        assert await plain.received() == ["a", "b"]
        assert short(await read(wrapped)) == ["joined", "a", "b"]


# Resuming


@pytest.mark.parametrize("envelope", [False, True], ids=["plain", "envelope"])
async def test_what_was_missed_comes_once_and_in_order_before_what_is_new(hub: Hub, envelope: bool) -> None:
    made = await say(hub, *"abc")
    async with guest(hub, envelope=envelope) as ada:
        stay = await ada.me.join("r", since=place(made[0]))
        assert (stay.recovered, stay.position) == (True, place(made[2]))
        await say(hub, "d")
        got = short(await read(ada)) if envelope else await ada.received()
        assert [one for one in got if one != "joined"] == ["b", "c", "d"]


async def test_the_notice_of_a_recovery_names_the_place_where_it_begins(hub: Hub) -> None:
    made = await say(hub, *"abc")
    async with guest(hub, envelope=True) as ada:
        await ada.me.join("r", since=place(made[1]))
        notice, missed = await read(ada)
    assert (notice["recovered"], notice["offset"], missed["offset"]) == (True, 2, 3)


@pytest.mark.parametrize(
    ("offset", "recovered", "missed"),
    [
        (0, False, []),
        (1, False, []),
        (2, True, list("cdefg")),
        (6, True, ["g"]),
        (7, True, []),
        (8, False, []),
    ],
)
async def test_the_edges_of_the_window(hub: Hub, offset: int, recovered: bool, missed: list[str]) -> None:
    made = await say(hub, *"abcdefg")  # keeps c to g
    async with guest(hub, envelope=True) as ada:
        stay = await ada.me.join("r", since=Position(place(made[0]).epoch, offset))
        assert stay.recovered is recovered
        await say(hub, "new")
        notice, *publications = await read(ada)
        assert notice["recovered"] is recovered
        assert short(publications) == [*missed, "new"]


async def test_another_epoch_and_a_room_without_history_are_not_recovered(hub: Hub) -> None:
    await say(hub, "a")
    async with guest(hub) as ada:
        assert (await ada.me.join("r", since=Position("another", 1))).recovered is False
        assert (await ada.me.join("plain", since=Position("e", 1))).recovered is False
        assert (await ada.me.join("r-again")).recovered is None


async def test_joining_again_changes_nothing(hub: Hub) -> None:
    made = await say(hub, "a")
    async with guest(hub, rooms=("r",), envelope=True) as ada:
        stay = await ada.me.join("r", since=Position(place(made[0]).epoch, 0))
        assert stay.recovered is None
        assert short(await read(ada)) == ["joined"]


# The seam


class SlowHistory(MemoryBroker):
    """Reads history only when it is let to, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.reads = 0
        self.fails = False

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        self.reads += 1
        page = await super().history(room, history, since=since, limit=limit, reverse=reverse)
        await self.gate.wait()
        if self.fails:
            raise BrokerError("not today")
        return page


@pytest.mark.parametrize("first", ["publish", "read"])
async def test_what_is_published_while_history_is_read_comes_once(first: str) -> None:
    hub = Hub(broker := SlowHistory())
    hub.room("r", history=History(size=100))
    async with hub, guest(hub, rooms=("r",)) as bob, guest(hub) as ada:
        made = await say(hub, *"abc")
        joining = asyncio.ensure_future(hub.join("r", ada.me, since=place(made[0])))
        await eventually(lambda: broker.reads)
        await say(hub, "d", "e")
        if first == "publish":
            await turns()
        broker.gate.set()
        assert (await joining).recovered is True
        await say(hub, "f")
        assert await ada.received() == list("bcdef")
        assert await bob.received() == list("abcdef")


async def test_a_history_longer_than_a_page_and_than_an_outbox_comes_whole() -> None:
    hub = Hub(limits=Limits(outbox_bytes=20_000))
    hub.room("r", history=History(size=1_000))
    async with hub, guest(hub) as ada:
        first = await hub.broadcast_to_room("r", "first")
        numbers = [f"{number:0100}" for number in range(900)]
        await say(hub, *numbers)
        joining = asyncio.ensure_future(hub.join("r", ada.me, since=place(first)))
        got = [await ada.client.receive() for _ in range(500)]
        await say(hub, "meanwhile")
        got += [await ada.client.receive() for _ in range(401)]
        assert (await joining).recovered is True
        await say(hub, "afterwards")
        assert [*got, await ada.client.receive()] == [*numbers, "meanwhile", "afterwards"]


async def test_a_client_that_reads_more_slowly_than_the_room_forgets_is_closed() -> None:
    hub = Hub(limits=Limits(outbox_bytes=20_000))
    hub.room("r", history=History(size=1_500))
    async with hub, guest(hub) as ada:
        first = await hub.broadcast_to_room("r", "first")
        await say(hub, *["x" * 200] * 1_500)
        joining = asyncio.ensure_future(hub.join("r", ada.me, since=place(first)))
        await eventually(lambda: len(ada.client._to_client) >= UNREAD)
        await say(hub, *["y" * 200] * 3_000)
        got = await ada.received()
        assert set(got) == {"x" * 200}
        with pytest.raises(Disconnected) as caught:
            await joining
        assert caught.value.code == 1013


async def test_a_join_that_fails_leaves_nothing_behind() -> None:
    hub = Hub(broker := SlowHistory())
    hub.room("r", history=KEEP)
    broker.fails = True
    broker.gate.set()
    async with hub, guest(hub) as ada:
        made = await say(hub, "a")
        with pytest.raises(BrokerError):
            await ada.me.join("r", since=place(made[0]))
        assert (hub.rooms, len(hub._following)) == ([], 1)
        assert (await ada.me.join("r")).recovered is None


async def test_a_client_that_has_seen_more_than_this_node_waits_for_it(hub: Hub) -> None:
    made = await say(hub, *"abc")
    async with guest(hub, rooms=("r",)), guest(hub, envelope=True) as ada:
        room = hub._following._rooms["r"]
        room.position = place(made[0])  # as if this node were behind another
        joining = asyncio.ensure_future(hub.join("r", ada.me, since=place(made[2])))
        await turns()
        assert not joining.done()
        room.position = place(made[2])
        assert (await joining).recovered is True
        await say(hub, "d")
        assert short(await read(ada)) == ["joined", "d"]


# Losses


async def test_a_loss_is_told_to_enveloped_members_and_closes_plain_ones(hub: Hub) -> None:
    async with guest(hub, rooms=("r",), envelope=True) as ada, guest(hub, rooms=("r",)) as bob:
        made = await say(hub, "a")
        lost = Position("new", 7)
        hub._members.interrupted("r", lost)
        hub._members.interrupted("r", lost)
        messages = await read(ada)
        assert short(messages) == ["joined", "a", "gap"]
        assert messages[-1] == {"type": "gap", "room": "r", "epoch": "new", "offset": 7}
        assert await bob.client.receive() == "a"
        assert (await bob.client.wait_closed()).code == 1012
        assert hub._following.position("r") == lost != place(made[0])


# Following


class Counting(MemoryBroker):
    """Notes subscriptions; they take a while, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def subscribe(self, room: str, history: History | None = None) -> Position | None:
        self.calls.append(f"+{room}")
        await self.gate.wait()
        if self.fails:
            raise BrokerError("not today")
        return await super().subscribe(room, history)

    def unsubscribe(self, room: str) -> None:
        self.calls.append(f"-{room}")


async def test_a_room_is_subscribed_to_once_and_left_with_the_last_member() -> None:
    hub = Hub(broker := Counting())
    async with hub, guest(hub) as ada, guest(hub) as bob:
        broker.gate.clear()
        joining = [asyncio.ensure_future(one.me.join("r").__aenter__()) for one in (ada, bob)]
        await turns()
        broker.gate.set()
        await asyncio.gather(*joining)
        ada.me.leave("r")
        ada.me.leave("r")
        assert broker.calls == ["+*", "+r"]
        bob.me.leave("r")
        assert broker.calls == ["+*", "+r", "-r"]


async def test_a_member_that_leaves_while_another_joins_takes_no_subscription_away() -> None:
    hub = Hub(broker := Counting())
    async with hub, guest(hub, rooms=("r",)) as ada, guest(hub) as bob:
        broker.calls.clear()
        joining = asyncio.ensure_future(hub.join("r", bob.me))
        ada.me.leave("r")
        await joining
        await hub.broadcast_to_room("r", "a")
        assert await bob.received() == ["a"]
        assert broker.calls in ([], ["-r", "+r"])


async def test_when_the_one_who_subscribes_is_cancelled_the_next_does_it() -> None:
    hub = Hub(broker := Counting())
    async with hub, guest(hub) as ada, guest(hub) as bob:
        broker.gate.clear()
        first, second = (asyncio.ensure_future(hub.join("r", one.me)) for one in (ada, bob))
        await turns()
        first.cancel()
        await turns()
        broker.gate.set()
        await second
        assert hub.members("r") == [bob.me]
        assert broker.calls == ["+*", "+r", "+r"]


async def test_a_subscription_that_fails_fails_for_all_that_wait() -> None:
    hub = Hub(broker := Counting())
    async with hub, guest(hub) as ada, guest(hub) as bob:
        broker.gate.clear()
        broker.fails = True
        joining = [asyncio.ensure_future(hub.join("r", one.me)) for one in (ada, bob)]
        await turns()
        broker.gate.set()
        results = await asyncio.gather(*joining, return_exceptions=True)
        assert [type(one) for one in results] == [BrokerError, BrokerError]
        assert broker.calls.count("+r") == 1
        broker.fails = False
        await hub.join("r", ada.me)
        assert hub.members("r") == [ada.me]


# Publishing


async def test_a_publish_with_the_same_idempotency_key_reaches_members_once(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        made = [await hub.broadcast_to_room("r", "a", idempotency_key="k") for _ in range(3)]
        everyone = [await hub.broadcast("b", idempotency_key="k") for _ in range(3)]
        assert await ada.received() == ["a", "b"]
        assert len({one.position for one in made}) == 1
        assert {one.position for one in everyone} == {None}


async def test_a_removed_history_cannot_be_resumed(hub: Hub) -> None:
    made = await say(hub, "a", "b")
    await hub.remove_history("r")
    async with guest(hub) as ada:
        assert (await ada.me.join("r", since=place(made[0]))).recovered is False
        assert not (await hub.history("r")).publications


async def test_a_pattern_that_fits_any_name_is_not_for_the_room_of_everyone() -> None:
    hub = Hub()
    hub.room("{name:path}", history=KEEP, presence=True)
    async with hub, guest(hub, envelope=True, rooms=("r",)) as ada:
        assert (await hub.broadcast("for all")).position is None
        assert short(await read(ada)) == ["joined", "for all"]
