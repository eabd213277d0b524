"""The memory broker keeps the contract, and its own bounds."""

import itertools
from collections.abc import Callable

import pytest
from broker_contract import BrokerContract
from broker_node import Node
from hands import Hands

from hubbub import BrokerError, History, HistoryGone, Position
from hubbub.brokers import Broker, MemoryBroker
from hubbub.brokers.base import IDEMPOTENCY_WINDOW
from hubbub.brokers.memory import MAX_CLAIMS


class TestMemoryBroker(BrokerContract):
    @pytest.fixture
    def make_broker(self) -> Callable[[], Broker]:
        return MemoryBroker


async def started(**arguments: object) -> MemoryBroker:
    broker = MemoryBroker(**arguments)  # type: ignore[arg-type]
    await broker.start(Node(broker))
    return broker


async def test_delivery_is_done_when_publish_returns() -> None:
    broker = MemoryBroker(clock=Hands())
    node = Node(broker)
    await broker.start(node)
    published = await broker.publish("r", "a")
    assert node.delivered == [published]
    assert published.time == 1_000.0


async def test_histories_together_stay_within_their_bytes() -> None:
    broker = await started(history_bytes=10)
    first = await broker.publish("r", "12345", history=History())
    await broker.publish("s", "123456", history=History())
    assert first.position is not None
    with pytest.raises(HistoryGone):
        await broker.history(
            "r", History(), since=Position(first.position.epoch, 0), limit=None, reverse=False
        )


async def test_two_brokers_never_share_an_epoch() -> None:
    epochs = set()
    for _ in range(20):
        published = await (await started()).publish("r", "a", history=History())
        assert published.position is not None
        epochs.add(published.position.epoch)
    assert len(epochs) == 20


async def test_a_claim_that_cannot_be_remembered_is_refused_loudly() -> None:
    hands = Hands()
    broker = await started(clock=hands)
    for number in range(MAX_CLAIMS):
        await broker.claim(str(number), 60.0)
    with pytest.raises(BrokerError, match="too many"):
        await broker.claim("one more", 60.0)
    assert not await broker.claim("0", 60.0)
    hands.time += 60.0
    assert await broker.claim("one more", 60.0)


async def test_a_long_claim_does_not_keep_ended_ones_in_memory() -> None:
    hands = Hands()
    broker = await started(clock=hands)
    await broker.claim("idempotency key", 86_400.0)
    numbers = itertools.count()
    for _ in range(3):
        for _ in range(MAX_CLAIMS // 2):
            assert await broker.claim(f"ticket {next(numbers)}", 60.0)
        hands.time += 61.0
    assert not await broker.claim("idempotency key", 60.0)


async def test_idempotency_keys_are_forgotten_after_five_minutes() -> None:
    hands = Hands()
    broker = await started(clock=hands)
    first = await broker.publish("r", "a", history=History(), idempotency_key="k")
    hands.time += IDEMPOTENCY_WINDOW - 1
    again = await broker.publish("r", "a", history=History(), idempotency_key="k")
    assert (again.position, again.time) == (first.position, first.time)
    hands.time += 1
    later = await broker.publish("r", "a", history=History(), idempotency_key="k")
    assert later.position != first.position


async def test_a_room_that_was_forgotten_tells_those_who_are_still_in_it() -> None:
    broker = MemoryBroker(max_rooms=1)
    node = Node(broker)
    await broker.start(node)
    await broker.publish("r", "a", history=History())
    await broker.publish("s", "b", history=History())
    published = await broker.publish("r", "c", history=History())
    assert published.position is not None
    assert node.interruptions[-1] == ("r", Position(published.position.epoch, 0))
    assert published.position.offset == 1
