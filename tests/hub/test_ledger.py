"""A table that all nodes have: the newest word counts, and it lasts as long as the broker's data."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from polling import eventually

from hubbub.brokers import HistoryPage
from hubbub.brokers.memory import MemoryBroker
from hubbub.core import signal_codec
from hubbub.core.errors import BrokerError, LimitReached
from hubbub.core.messages import Publication
from hubbub.hub import Hub, ledger
from hubbub.hub.ledger import Ledger
from hubbub.hub.parts import Parts
from hubbub.hub.signals import LEDGER, LEDGERS

ROOM = f"{LEDGERS}test"


class Keeper:
    """A companion with a ledger."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes, bytes | None]] = []
        self.ledger: Ledger
        self.parts: Parts

    async def begin(self, parts: Parts) -> None:
        self.parts = parts
        self.ledger = Ledger("test", parts.broker, parts.following, parts.signals, self._changed)
        await self.ledger.start()

    async def end(self) -> None:
        await self.ledger.stop()

    def _changed(self, key: bytes, value: bytes | None) -> None:
        self.told.append((key, value))

    async def records(self) -> int:
        """How many have been written in all."""
        assert LEDGER.history is not None
        page = await self.parts.broker.history(ROOM, LEDGER.history, since=None, limit=0, reverse=False)
        return page.position.offset


@asynccontextmanager
async def keeper(broker: str | MemoryBroker = "memory://") -> AsyncIterator[Keeper]:
    hub, one = Hub(broker), Keeper()
    hub.companions.append(one)
    async with hub:
        yield one


async def test_what_is_put_is_there_until_it_is_removed_or_expires() -> None:
    async with keeper() as one:
        table = one.ledger
        assert table.get(b"a") is None
        await table.put(b"a", b"1")
        await table.put(b"b", b"2", time.time() + 0.2)
        await table.put(b"a", b"3")
        assert (table.get(b"a"), table.get(b"b")) == (b"3", b"2")
        await table.remove(b"a")
        await table.remove(b"never there")
        assert table.get(b"a") is None
        assert one.told == [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"a", None)]
        await eventually(lambda: table.get(b"b") is None)
        assert await one.records() == 4


async def test_other_nodes_hear_of_it_and_one_that_starts_later_knows_it(tmp_path: Path) -> None:
    url = f"embedded://{tmp_path}"
    async with keeper(url) as first, keeper(url) as second:
        await first.ledger.put(b"a", b"1")
        await first.ledger.put(b"gone", b"1")
        await eventually(lambda: second.ledger.get(b"gone") == b"1")
        await second.ledger.remove(b"gone")
        await eventually(lambda: first.ledger.get(b"gone") is None)
        async with keeper(url) as third:
            assert third.ledger.get(b"a") == b"1"
            assert third.ledger.get(b"gone") is None
            assert third.told == []
    async with keeper(url) as fourth:  # nobody was there meanwhile
        assert fourth.ledger.get(b"a") == b"1"
        assert fourth.ledger.get(b"gone") is None


async def test_two_nodes_that_write_the_same_key_agree(tmp_path: Path) -> None:
    url = f"embedded://{tmp_path}"
    async with keeper(url) as first, keeper(url) as second:
        both = (first, second)
        await asyncio.gather(*(one.ledger.put(b"k", bytes([n])) for n in range(20) for one in both))
        await first.ledger.put(b"end", b"")
        await eventually(lambda: second.ledger.get(b"end") is not None)
        assert first.ledger.get(b"k") == second.ledger.get(b"k")


async def test_an_old_entry_is_written_again_before_the_history_forgets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "REWRITE_AFTER", 20)
    async with keeper() as one:
        keep = [b"keep %d" % number for number in range(5)]
        for key in keep:
            await one.ledger.put(key, b"")
        for number in range(60):
            await one.ledger.put(b"other", b"%d" % number)
        assert LEDGER.history is not None
        page = await one.parts.broker.history(ROOM, LEDGER.history, since=None, limit=None, reverse=True)
        newest = [one.payload for one in page.publications[:40]]
        for key in keep:
            assert any(isinstance(data, bytes) and key in data for data in newest)
        assert [value for key, value in one.told if key in keep] == [b""] * 5


async def test_an_entry_that_is_written_again_does_not_undo_what_came_meanwhile() -> None:
    async with keeper() as one:
        await one.ledger.put(b"a", b"1")
        await one.ledger.remove(b"a")
        late = ledger._Record(b"a", b"1", None, 1)  # by a node that has not heard of the removal
        await one.ledger._write(late)
        assert one.ledger.get(b"a") is None


async def test_what_does_not_count_is_forgotten_once_nothing_older_can_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "REWRITE_AFTER", 10)
    monkeypatch.setattr(ledger, "SWEEP_EVERY", 5)
    async with keeper() as one:
        await one.ledger.put(b"kept", b"1")
        await one.ledger.put(b"removed", b"1")
        await one.ledger.remove(b"removed")
        await one.ledger.put(b"expired", b"1", time.time() - 1)
        assert len(one.ledger._entries) == 3
        for number in range(40):
            await one.ledger.put(b"other", b"%d" % number)
        assert set(one.ledger._entries) == {b"kept", b"other"}


async def test_it_is_still_there_after_a_restart_on_one_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data.db"
    async with keeper(url) as one:
        await one.ledger.put(b"a", b"1")
    async with keeper(url) as again:
        assert again.ledger.get(b"a") == b"1"


async def test_what_the_broker_has_lost_is_restored() -> None:
    async with keeper(broker := MemoryBroker()) as one:
        await one.ledger.put(b"a", b"1")
        await one.ledger.put(b"b", b"1")
        await one.ledger.remove(b"b")
        del broker._histories._logs[ROOM]  # as a broker that was started again, empty
        broker._histories._forgotten += 1
        await one.ledger.put(b"c", b"1")
        await eventually(lambda: one.ledger._entries[b"a"].offset == 2)
        assert await one.records() == 2
        assert [one.ledger.get(key) for key in (b"a", b"b", b"c")] == [b"1", None, b"1"]


class Unsteady(MemoryBroker):
    """Does not answer a few times, and counts claims."""

    reads_failing = 0
    writes_failing = 0
    claims = 0

    async def claim(self, key: str, ttl: float) -> bool:
        self.claims += 1
        return await super().claim(key, ttl)

    async def history(self, *arguments: Any, **keywords: Any) -> HistoryPage:
        if self.reads_failing:
            self.reads_failing -= 1
            raise BrokerError("it does not answer")
        return await super().history(*arguments, **keywords)

    async def publish(self, room: str, *arguments: Any, **keywords: Any) -> Publication:
        if self.writes_failing and room == ROOM:
            self.writes_failing -= 1
            raise BrokerError("it does not answer")
        return await super().publish(room, *arguments, **keywords)


async def test_what_was_missed_is_read_also_if_the_broker_did_not_answer_at_first() -> None:
    async with keeper(broker := Unsteady()) as one:
        await one.ledger.put(b"a", b"1")
        one.parts.signals._listeners.pop(ROOM)  # what another node says is lost
        record = ledger._Record(b"b", b"blocked")
        await broker.publish(ROOM, signal_codec.encode(record), history=LEDGER.history)
        broker.reads_failing = 2
        one.ledger._lost()
        one.ledger._lost()
        await eventually(lambda: one.ledger.get(b"b") == b"blocked")
        assert one.told[-1] == (b"b", b"blocked")
        await eventually(lambda: not one.ledger._background._tasks)


async def test_who_restores_goes_on_when_the_broker_answers_again() -> None:
    async with keeper(broker := Unsteady()) as one:
        for key in (b"a", b"b"):
            await one.ledger.put(key, b"1")
        del broker._histories._logs[ROOM]
        broker._histories._forgotten += 1
        broker.writes_failing = 2
        one.ledger._lost()
        await eventually(lambda: not one.ledger._background._tasks)
        assert await one.records() == 2


async def test_another_node_restores_what_the_first_one_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "RESTORE_CLAIM", 0.2)
    async with keeper(broker := MemoryBroker()) as one:
        await one.ledger.put(b"a", b"1")
        del broker._histories._logs[ROOM]
        broker._histories._forgotten += 1
        epoch = broker._histories.position(ROOM).epoch
        assert await broker.claim(f"{ROOM} {epoch}", 0.1), "by another node, which dies"
        one.ledger._lost()
        await eventually(lambda: not one.ledger._background._tasks)
        assert await one.records() == 1


async def test_only_one_node_restores_what_the_broker_has_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "RESTORE_CLAIM", 0.1)
    async with keeper(broker := Unsteady()) as one:
        await one.ledger.put(b"a", b"1")
        del broker._histories._logs[ROOM]
        broker._histories._forgotten += 1
        claimed = f"{ROOM} {broker._histories.position(ROOM).epoch}"
        assert await broker.claim(claimed, 60.0), "by another node, which takes its time"
        await one.ledger.put(b"b", b"1")
        await eventually(lambda: broker.claims >= 4)  # it looks again and again whether the other one has
        assert await one.records() == 1
        assert one.ledger.get(b"a") == b"1", "it is known here all the same"


async def test_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_ENTRIES", 3)
    async with keeper() as one:
        for number in range(3):
            await one.ledger.put(b"%d" % number, b"")
        with pytest.raises(LimitReached):
            await one.ledger.put(b"more", b"")
        await one.ledger.put(b"1", b"new")
        await one.ledger.remove(b"2")
        await one.ledger.put(b"more", b"")
        with pytest.raises(LimitReached):
            await one.ledger.put(b"1", bytes(1_000))
