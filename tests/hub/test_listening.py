"""Python code that hears a room: `Hub.listen`."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from guests import guest
from polling import DEADLINE, turns

from hubbub import (
    BEGINNING,
    BrokerError,
    History,
    HistoryGone,
    Hub,
    HubNotRunning,
    InvalidRoomName,
    Limits,
    Position,
    SlowConsumer,
)
from hubbub.brokers import HistoryPage, MemoryBroker
from hubbub.hub.listening import PAGE, Listener

KEPT = 4 * PAGE


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub()
    hub.room("kept", history=History(size=KEPT))
    async with hub:
        yield hub


async def say(hub: Hub, room: str, *payloads: str) -> Position | None:
    position = None
    for payload in payloads:
        position = (await hub.broadcast_to_room(room, payload)).position
    return position


async def take(listener: Listener, count: int) -> list[str | bytes]:
    async with asyncio.timeout(DEADLINE):
        return [(await anext(listener)).payload for _ in range(count)]


async def test_what_is_published_inside_of_the_block_comes_in_order(hub: Hub) -> None:
    await say(hub, "news", "before")
    async with hub.listen("news") as news, hub.listen("news") as also, hub.listen("other") as other:
        await say(hub, "news", "one", "two")
        await say(hub, "other", "three")
        assert await take(news, 2) == await take(also, 2) == ["one", "two"]
        assert await take(other, 1) == ["three"]
        assert (news.room, news.position, news.recovered) == ("news", None, None)


async def test_it_waits_for_what_is_not_there_yet(hub: Hub) -> None:
    async with hub.listen("news") as news:
        waiting = asyncio.ensure_future(anext(news))
        await turns()
        assert not waiting.done()
        await say(hub, "news", "now")
        assert (await waiting).payload == "now"


async def test_who_listens_is_not_in_the_room_and_leaves_nothing_behind(hub: Hub) -> None:
    followed = len(hub._following)
    async with hub.listen("news"), hub.listen("news"):
        assert (hub.rooms, hub.room_count("news")) == ([], 0)
        assert len(hub._following) == followed + 1
    assert len(hub._following) == followed
    assert not hub._members.listeners.live


async def test_members_and_listeners_of_a_room_hear_the_same(hub: Hub) -> None:
    async with guest(hub, rooms=("kept",)) as ada, hub.listen("kept") as kept:
        await say(hub, "kept", "a", "b")
        assert await ada.received() == await take(kept, 2) == ["a", "b"]


async def test_what_was_missed_comes_first(hub: Hub) -> None:
    first = await say(hub, "kept", "a")
    await say(hub, "kept", "b", "c")
    async with hub.listen("kept", since=first) as kept:
        assert (kept.position, kept.recovered) == (first, True)
        await say(hub, "kept", "d")
        assert await take(kept, 3) == ["b", "c", "d"]


async def test_all_that_the_room_has_comes_from_its_beginning(hub: Hub) -> None:
    async with hub.listen("kept", since=BEGINNING) as empty:
        newest = await say(hub, "kept", "a", "b")
        assert await take(empty, 2) == ["a", "b"]
    async with hub.listen("kept", since=BEGINNING) as kept:
        assert await take(kept, 2) == ["a", "b"]
        assert newest is not None
        assert kept.position == Position(newest.epoch, 0)


async def test_a_member_too_can_begin_at_the_beginning(hub: Hub) -> None:
    newest = await say(hub, "kept", "a", "b")
    assert newest is not None
    async with guest(hub, envelope=True) as ada:
        assert (await ada.me.join("kept", since=BEGINNING)).recovered is True
        notice, *publications = await ada.received()
        assert f'"epoch":"{newest.epoch}","offset":0' in str(notice)
        assert len(publications) == 2


@pytest.mark.parametrize(("room", "said"), [("kept", KEPT + 1), ("news", 1)], ids=["too much", "no history"])
async def test_what_is_not_all_kept_does_not_come_at_all(hub: Hub, room: str, said: int) -> None:
    await say(hub, room, *map(str, range(said)))
    async with hub.listen(room, since=BEGINNING) as listener:
        assert listener.recovered is False
        await say(hub, room, "new")
        assert await take(listener, 1) == ["new"]


async def test_a_long_past_comes_page_by_page_and_then_what_was_said_meanwhile(hub: Hub) -> None:
    numbers = [str(number) for number in range(3 * PAGE)]
    await say(hub, "kept", *numbers)
    async with hub.listen("kept", since=BEGINNING) as kept:
        got = await take(kept, PAGE // 2)
        await say(hub, "kept", "meanwhile")
        got += await take(kept, len(numbers) - len(got) + 1)
        await say(hub, "kept", "afterwards")
        assert [*got, *await take(kept, 1)] == [*numbers, "meanwhile", "afterwards"]


async def test_a_past_that_is_forgotten_while_it_is_read_is_an_error(hub: Hub) -> None:
    await say(hub, "kept", *map(str, range(2 * PAGE)))
    async with hub.listen("kept", since=BEGINNING) as kept:
        await say(hub, "kept", *["new"] * KEPT)
        assert (await take(kept, PAGE))[-1] == str(PAGE - 1)
        for _ in range(2):
            with pytest.raises(HistoryGone):
                await anext(kept)


async def test_a_loss_comes_after_what_was_heard_before_it(hub: Hub) -> None:
    async with hub.listen("kept") as kept, hub.listen("kept") as waits:
        waiting = asyncio.gather(anext(waits), return_exceptions=True)
        await say(hub, "kept", "a")
        await waiting
        waiting = asyncio.gather(anext(waits), return_exceptions=True)
        await turns()
        hub._members.interrupted("kept", Position("another", 3))
        await say(hub, "kept", "b")
        assert await take(kept, 1) == ["a"]
        with pytest.raises(HistoryGone):
            await anext(kept)
        assert isinstance((await waiting)[0], HistoryGone)


async def test_who_does_not_take_what_comes_hears_that_it_is_too_slow() -> None:
    async with Hub(limits=Limits(outbox_bytes=1_000)) as hub, hub.listen("news") as slow:
        await say(hub, "news", *["x" * 100] * 10)
        with pytest.raises(SlowConsumer):
            await anext(slow)
        assert not hub._members.listeners.live


async def test_it_ends_with_the_hub() -> None:
    hub = Hub()
    async with hub:
        begun = asyncio.Event()

        async def hear() -> list[str | bytes]:
            async with hub.listen("news") as news:
                begun.set()
                return [one.payload async for one in news]

        hearing = asyncio.ensure_future(hear())
        await begun.wait()
        await say(hub, "news", "last")
    async with asyncio.timeout(DEADLINE):
        assert await hearing == ["last"]
    with pytest.raises(HubNotRunning):
        async with hub.listen("news"):
            pass


async def test_a_bad_name_is_refused(hub: Hub) -> None:
    with pytest.raises(InvalidRoomName):
        async with hub.listen("no spaces"):
            pass


async def test_a_second_task_is_told_that_it_cannot_iterate_too(hub: Hub) -> None:
    async with hub.listen("news") as news:
        first = asyncio.ensure_future(anext(news))
        await turns()
        with pytest.raises(RuntimeError):
            await anext(news)
        first.cancel()
        await asyncio.wait([first])
        await say(hub, "news", "still here")
        assert await take(news, 1) == ["still here"]


class Stubborn(MemoryBroker):
    """Its history cannot be read while it says so."""

    silent = False

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        if self.silent:
            raise BrokerError("not today")
        return await super().history(room, history, since=since, limit=limit, reverse=reverse)


async def test_a_broker_that_fails_for_a_while_can_be_asked_again() -> None:
    hub = Hub(broker := Stubborn())
    hub.room("kept", history=History(size=KEPT))
    async with hub:
        await say(hub, "kept", *map(str, range(PAGE + 1)))
        async with hub.listen("kept", since=BEGINNING) as kept:
            await take(kept, PAGE)
            broker.silent = True
            with pytest.raises(BrokerError):
                await anext(kept)
            broker.silent = False
            assert await take(kept, 1) == [str(PAGE)]
        broker.silent = True
        followed = len(hub._following)
        with pytest.raises(BrokerError):
            async with hub.listen("kept", since=BEGINNING):
                pass
        assert len(hub._following) == followed
