"""`Hub.erase`: what was erased comes to nobody any more, and everybody else is as complete as before."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from guests import guest
from polling import DEADLINE, eventually, turns

from hubbub import (
    BEGINNING,
    BrokerError,
    ConfigurationError,
    History,
    HistoryGone,
    Hub,
    HubNotRunning,
    InvalidRoomName,
    Position,
    Publication,
)
from hubbub.brokers import HistoryPage, MemoryBroker
from hubbub.brokers.sqlite import SqliteBroker
from hubbub.hub.listening import PAGE, Listener

KEEP = History(size=3 * PAGE)


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub()
    hub.room("r", history=KEEP)
    async with hub:
        yield hub


async def say(hub: Hub, *payloads: str) -> list[Publication]:
    return [await hub.broadcast_to_room("r", payload) for payload in payloads]


def place(publication: Publication) -> Position:
    assert publication.position is not None
    return publication.position


async def take(listener: Listener, count: int) -> list[str | bytes]:
    async with asyncio.timeout(DEADLINE):
        return [(await anext(listener)).payload for _ in range(count)]


async def test_it_tells_whether_the_publication_was_there(hub: Hub) -> None:
    made = await say(hub, "a", "b")
    epoch = place(made[0]).epoch
    assert await hub.erase("r", 1)
    assert not await hub.erase("r", 1)
    for offset in (0, -1, 3, 2**63 - 1, 2**63, 10**30):
        assert not await hub.erase("r", offset)
    for other in ("another", "", "é", "x" * 65, "a b", "\ud800"):
        assert not await hub.erase("r", 2, epoch=other)
    assert await hub.erase("r", 2, epoch=epoch)
    page = await hub.history("r")
    assert (list(page.publications), page.position) == ([], Position(epoch, 2))


async def test_what_cannot_be_erased_is_said(hub: Hub) -> None:
    with pytest.raises(ConfigurationError, match="keeps no history"):
        await hub.erase("plain", 1)
    with pytest.raises(InvalidRoomName):
        await hub.erase("a b", 1)
    idle = Hub()
    idle.room("r", history=KEEP)
    with pytest.raises(HubNotRunning):
        await idle.erase("r", 1)


async def test_a_member_resumes_across_what_was_erased(hub: Hub) -> None:
    made = await say(hub, *"abcde")
    for erased in (2, 3, 5):
        assert await hub.erase("r", erased)
    async with guest(hub) as ada, guest(hub) as bob:
        stay = await ada.me.join("r", since=place(made[0]))
        assert (stay.recovered, stay.position) == (True, place(made[4]))
        assert (await bob.me.join("r", since=place(made[3]))).recovered is True
        await say(hub, "f")
        assert await ada.received() == ["d", "f"]
        assert await bob.received() == ["f"]


async def test_members_have_what_they_were_sent_and_hear_what_follows(hub: Hub) -> None:
    async with guest(hub, rooms=("r",)) as ada:
        await say(hub, "a", "b")
        await hub.erase("r", 2)
        await say(hub, "c")
        assert await ada.received() == ["a", "b", "c"]


async def test_a_resume_over_many_pages_with_nothing_in_some_of_them_is_whole(hub: Hub) -> None:
    made = await say(hub, *map(str, range(3 * PAGE)))
    kept = {10, PAGE + 5, 3 * PAGE - 3}
    for number, one in enumerate(made):
        if number and number not in kept:
            assert await hub.erase("r", place(one).offset)
    async with guest(hub) as ada, hub.listen("r", since=BEGINNING) as heard:
        assert (await ada.me.join("r", since=place(made[0]))).recovered is True
        await say(hub, "new")
        expected = [*map(str, sorted(kept)), "new"]
        assert await ada.received() == expected
        assert heard.recovered is True
        assert await take(heard, 5) == ["0", *expected]


async def test_a_listener_does_not_hand_out_what_it_has_read_ahead_or_heard(hub: Hub) -> None:
    await say(hub, "a", "b", "c")
    async with hub.listen("r", since=BEGINNING) as past, hub.listen("r") as live:
        await say(hub, "d", "e")
        await hub.erase("r", 2)
        await hub.erase("r", 4)
        assert await take(past, 3) == ["a", "c", "e"]
        assert await take(live, 1) == ["e"]


class SlowHistory(MemoryBroker):
    """Answers with a page only when it is let to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.reads = 0

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        page = await super().history(room, history, since=since, limit=limit, reverse=reverse)
        if since is not None:
            self.reads += 1
            await self.gate.wait()
        return page


@pytest.mark.parametrize("erased", range(2, 7))
async def test_what_is_erased_while_history_is_read_comes_to_nobody_who_comes_in(erased: int) -> None:
    hub = Hub(broker := SlowHistory())
    hub.room("r", history=KEEP)
    async with hub, guest(hub, rooms=("r",)), guest(hub) as ada:
        made = await say(hub, *"abcd")
        joining = asyncio.ensure_future(hub.join("r", ada.me, since=place(made[0])))
        listening = hub.listen("r", since=place(made[0]))
        entering = asyncio.ensure_future(listening.__aenter__())
        await eventually(lambda: broker.reads == 2)
        await say(hub, "e", "f")
        assert await hub.erase("r", erased)
        await turns()
        broker.gate.set()
        assert (await joining).recovered is True
        await say(hub, "g")
        expected = [one for one in "bcdefg" if one != "abcdef"[erased - 1]]
        assert await ada.received() == expected
        assert await take(await entering, 5) == expected
        await listening.__aexit__(None, None, None)


async def test_a_broker_that_does_not_answer_is_told_and_asking_again_is_safe() -> None:
    class Away(MemoryBroker):
        away = True

        async def erase(self, room: str, history: History, position: Position) -> bool:
            erased = await super().erase(room, history, position)
            if self.away:
                raise BrokerError("the answer was lost")
            return erased

    hub = Hub(broker := Away())
    hub.room("r", history=KEEP)
    async with hub:
        await say(hub, "a", "b")
        with pytest.raises(BrokerError):
            await hub.erase("r", 1)
        broker.away = False
        assert not await hub.erase("r", 1)
        assert [one.payload for one in (await hub.history("r")).publications] == ["b"]
        assert hub.stats.broker_errors == 1


# Against a model


class Model:
    """What one room should answer."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.top = 0
        self.kept: dict[int, str | None] = {}  # None for what was erased

    def publish(self, payload: str) -> None:
        self.top += 1
        self.kept[self.top] = payload
        self.kept.pop(self.top - self.size, None)

    def erase(self, offset: int) -> bool:
        there = self.kept.get(offset) is not None
        if there:
            self.kept[offset] = None
        return there

    def after(self, offset: int) -> list[str] | None:
        """What a resume brings; None where not all of it is kept."""
        if not self.top - len(self.kept) <= offset <= self.top:
            return None
        return [one for place, one in sorted(self.kept.items()) if place > offset and one is not None]


async def check_history(hub: Hub, model: Model, chance: random.Random, epoch: str) -> None:
    everything = model.after(model.top - len(model.kept))
    assert everything is not None
    limit = chance.choice([None, 1, 2, 5])
    page = await hub.history("r", limit=limit)
    assert ([one.payload for one in page.publications], page.position.offset) == (
        everything[:limit],
        model.top,
    )
    page = await hub.history("r", limit=limit, reverse=True)
    assert [one.payload for one in page.publications] == everything[::-1][:limit]
    offset = chance.randint(0, model.top + 1)
    expected = model.after(offset)
    try:
        page = await hub.history("r", since=Position(epoch, offset), limit=limit)
        assert expected is not None
        assert [one.payload for one in page.publications] == expected[:limit]
    except HistoryGone:
        assert expected is None


async def check_paging(hub: Hub, model: Model, chance: random.Random, epoch: str) -> None:
    """Who goes from page to page, as clients do, gets all of it."""
    offset, limit = model.top - len(model.kept), chance.randint(1, 4)
    found: list[str | bytes] = []
    while True:
        page = await hub.history("r", since=Position(epoch, offset), limit=limit)
        found += [one.payload for one in page.publications]
        if len(page.publications) < limit:
            break
        offset = place(page.publications[-1]).offset
    assert found == model.after(model.top - len(model.kept))


async def check_resume(hub: Hub, model: Model, chance: random.Random, epoch: str) -> None:
    offset = chance.randint(0, model.top)
    expected = model.after(offset)
    async with hub.listen("r", since=Position(epoch, offset)) as heard:
        assert heard.recovered is (expected is not None)
        if expected:
            assert await take(heard, len(expected)) == expected


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_histories_and_resumes_are_what_a_model_says(kind: str, seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    size = chance.choice([1, 4, 30])
    broker = MemoryBroker() if kind == "memory" else SqliteBroker(tmp_path / "hub.db")
    hub, model = Hub(broker), Model(size)
    hub.room("r", history=History(size=size, ttl=600.0))
    async with hub:
        epoch = (await hub.history("r", limit=0)).position.epoch
        for step in range(150):
            act = chance.random()
            if act < 0.4:
                await hub.broadcast_to_room("r", f"{step}")
                model.publish(f"{step}")
            elif act < 0.7:
                offset = chance.randint(0, model.top + 1)
                assert await hub.erase("r", offset) is model.erase(offset)
            elif act < 0.9:
                check = chance.choice([check_history, check_paging, check_resume])
                await check(hub, model, chance, epoch)
            else:
                async with guest(hub) as ada:
                    offset = chance.randint(0, model.top)
                    stay = await ada.me.join("r", since=Position(epoch, offset))
                    assert stay.recovered is (model.after(offset) is not None)
                    await hub.broadcast_to_room("r", f"{step} live")
                    missed = model.after(offset) or []
                    model.publish(f"{step} live")
                    assert [await ada.client.receive() for _ in range(len(missed) + 1)] == [
                        *missed,
                        f"{step} live",
                    ]
