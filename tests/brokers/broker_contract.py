"""What every broker must do: a broker's test file derives a class from `BrokerContract`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from broker_node import KEEP, Node
from erasing_contract import ErasingContract
from polling import eventually

from hubbub import BrokerError, History, HistoryGone, Position
from hubbub.brokers import Broker


class BrokerContract(ErasingContract):
    """Derive from it and give the fixture `make_broker`: a function that makes a broker, not yet started."""

    @pytest_asyncio.fixture
    async def node(self, make_broker: Callable[[], Broker]) -> AsyncIterator[Node]:
        """A started broker that is subscribed to the room "r"."""
        node = Node(make_broker())
        await node.broker.start(node)
        await node.broker.subscribe("r", KEEP)
        yield node
        await node.broker.stop()

    # Publishing

    @pytest.mark.parametrize("payload", ["text", "", "é😀\x00", b"", b"\x00\xff", "x" * 65_536])
    async def test_a_publication_is_delivered_as_it_was_made(self, node: Node, payload: str | bytes) -> None:
        published = await node.broker.publish("r", payload, publisher="ada", key="k")
        await node.payloads(1)
        assert node.delivered == [published]
        assert (published.room, published.payload) == ("r", payload)
        assert (published.publisher, published.key) == ("ada", "k")

    async def test_without_history_there_is_no_position(self, node: Node) -> None:
        assert (await node.broker.publish("r", "a")).position is None

    async def test_positions_are_consecutive_offsets_of_one_epoch(self, node: Node) -> None:
        positions = [one.position for one in await node.fill("a", "b", "c")]
        assert all(position is not None for position in positions)
        assert [position.offset for position in positions if position] == [1, 2, 3]
        assert len({position.epoch for position in positions if position}) == 1

    async def test_rooms_have_positions_of_their_own(self, node: Node) -> None:
        await node.fill("a", "b")
        other = await node.broker.publish("s", "c", history=KEEP)
        assert other.position is not None
        assert other.position.offset == 1

    async def test_publications_of_many_tasks_have_one_order(self, node: Node) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(node.broker.publish("r", str(number), history=KEEP))
        assert len(set(await node.payloads(50))) == 50
        offsets = [one.position.offset for one in node.delivered if one.position]
        assert offsets == list(range(1, 51))

    async def test_a_publication_keeps_its_tags_and_the_time_it_was_accepted(self, node: Node) -> None:
        published = await node.broker.publish("r", "a", history=KEEP, tags={"kind": "news"})
        await node.payloads(1)
        assert node.delivered == [published]
        assert published.tags == {"kind": "news"}
        assert abs(published.time - time.time()) < 60
        page = await node.broker.history("r", KEEP, since=None, limit=None, reverse=False)
        assert list(page.publications) == [published]

    @pytest.mark.parametrize("history", [KEEP, None], ids=["history", "no history"])
    async def test_a_publish_with_the_same_idempotency_key_is_published_once(
        self, node: Node, history: History | None
    ) -> None:
        first = await node.broker.publish("r", "a", history=history, idempotency_key="k")
        repeated = await asyncio.gather(
            *(node.broker.publish("r", "a", history=history, idempotency_key="k") for _ in range(5))
        )
        other = await node.broker.publish("r", "b", history=history, idempotency_key="another")
        elsewhere = await node.broker.publish("s", "a", history=history, idempotency_key="k")
        await node.payloads(2)
        assert [one.payload for one in node.delivered if one.room == "r"] == ["a", "b"]
        assert {one.position for one in repeated} == {first.position}
        assert other.position != first.position or history is None
        assert elsewhere.room == "s"

    async def test_publishes_at_once_with_one_idempotency_key_are_one(self, node: Node) -> None:
        made = await asyncio.gather(
            *(node.broker.publish("r", "a", history=KEEP, idempotency_key="k") for _ in range(20))
        )
        last = await node.broker.publish("r", "last", history=KEEP)
        assert {one.position.offset for one in made if one.position} == {1}
        assert last.position is not None
        assert last.position.offset == 2
        assert await node.payloads(2) == ["a", "last"]

    async def test_subscribing_tells_after_which_position_everything_is_delivered(self, node: Node) -> None:
        assert await node.broker.subscribe("plain") is None
        before = await node.broker.subscribe("s", KEEP)
        assert before is not None
        assert before.offset == 0
        first = await node.broker.publish("s", "a", history=KEEP)
        assert first.position == Position(before.epoch, 1)
        made = [await node.broker.publish("t", payload, history=KEEP) for payload in "abc"]
        assert await node.broker.subscribe("t", KEEP) == made[-1].position

    async def test_a_room_nobody_here_listens_to_may_be_published_to(self, node: Node) -> None:
        await node.broker.publish("elsewhere", "a", history=KEEP)
        await node.broker.publish("r", "b", history=KEEP)
        await node.payloads(1)
        assert [one.payload for one in node.delivered if one.room == "r"] == ["b"]

    async def test_subscribing_twice_delivers_once(self, node: Node) -> None:
        await node.broker.subscribe("r", KEEP)
        await node.broker.publish("r", "a")
        await node.broker.publish("r", "b")
        assert await node.payloads(2) == ["a", "b"]

    async def test_a_room_can_be_left_and_listened_to_again(self, node: Node) -> None:
        node.broker.unsubscribe("r")
        await node.broker.subscribe("r", KEEP)
        await node.broker.publish("r", "a")
        assert await node.payloads(1) == ["a"]

    async def test_unsubscribing_from_a_room_nobody_listens_to_is_no_error(self, node: Node) -> None:
        node.broker.unsubscribe("never heard of")

    # Life

    async def test_a_broker_that_does_not_run_takes_nothing(self, make_broker: Callable[[], Broker]) -> None:
        broker = make_broker()
        with pytest.raises(BrokerError):
            await broker.publish("r", "a")
        assert not broker.connected
        node = Node(broker)
        await broker.start(node)
        assert broker.connected
        await broker.stop()
        assert not broker.connected
        with pytest.raises(BrokerError):
            await broker.publish("r", "a")
        assert node.delivered == []

    async def test_history_goes_on_after_a_stop_and_a_start(self, node: Node) -> None:
        (first,) = await node.fill("a")
        await node.broker.stop()
        await node.broker.start(node)
        await node.broker.subscribe("r", KEEP)
        await node.fill("b")
        assert await node.read(since=first.position) == ["b"]

    # History

    async def test_history_is_read_in_both_directions(self, node: Node) -> None:
        await node.fill("a", "b", "c")
        assert await node.read() == ["a", "b", "c"]
        assert await node.read(limit=2) == ["a", "b"]
        assert await node.read(reverse=True) == ["c", "b", "a"]
        assert await node.read(reverse=True, limit=2) == ["c", "b"]

    async def test_a_page_tells_the_newest_position(self, node: Node) -> None:
        empty = await node.broker.history("r", KEEP, since=None, limit=None, reverse=False)
        assert (list(empty.publications), empty.position.offset) == ([], 0)
        last = (await node.fill("a", "b"))[-1]
        page = await node.broker.history("r", KEEP, since=None, limit=1, reverse=False)
        assert page.position == last.position

    async def test_what_came_since_a_position_is_whole_up_to_both_edges(self, node: Node) -> None:
        made = await node.fill(*"abcdefg")  # keeps c, d, e, f and g
        assert await node.read(since=made[6].position) == []
        assert await node.read(since=made[5].position) == ["g"]
        assert await node.read(since=made[1].position) == ["c", "d", "e", "f", "g"]
        assert await node.read(since=made[1].position, limit=2) == ["c", "d"]

    async def test_since_a_position_beyond_the_window_is_gone(self, node: Node) -> None:
        made = await node.fill(*"abcdefg")
        last = made[6].position
        assert last is not None
        for position in (made[0].position, Position(last.epoch, 8), Position("another epoch", 6)):
            with pytest.raises(HistoryGone):
                await node.read(since=position)

    async def test_a_room_that_was_empty_can_be_continued_from_its_beginning(self, node: Node) -> None:
        page = await node.broker.history("r", KEEP, since=None, limit=None, reverse=False)
        await node.fill("a", "b")
        assert await node.read(since=page.position) == ["a", "b"]

    async def test_what_is_older_than_the_ttl_is_not_read(self, node: Node) -> None:
        (first,) = await node.fill("a", history=History(size=5, ttl=0.05))
        short = History(size=5, ttl=0.05)

        async def nothing_is_left() -> bool:
            page = await node.broker.history("r", short, since=None, limit=None, reverse=False)
            return not page.publications

        await eventually(nothing_is_left)
        page = await node.broker.history("r", short, since=first.position, limit=None, reverse=False)
        assert (list(page.publications), page.position) == ([], first.position)

    async def test_a_history_is_bounded_in_bytes(self, node: Node) -> None:
        small = History(size=5, ttl=60.0, bytes=10)
        await node.fill("aaaa", "bbbb", "cccc", history=small)
        page = await node.broker.history("r", small, since=None, limit=None, reverse=False)
        assert [one.payload for one in page.publications] == ["bbbb", "cccc"]

    async def test_a_limit_of_zero_gives_the_position_alone(self, node: Node) -> None:
        last = (await node.fill("a", "b"))[-1]
        page = await node.broker.history("r", KEEP, since=None, limit=0, reverse=False)
        assert (list(page.publications), page.position) == ([], last.position)

    async def test_a_removed_history_is_gone_and_offsets_go_on(self, node: Node) -> None:
        made = await node.fill("a", "b")
        await node.broker.remove_history("r")
        assert await node.read() == []
        assert await node.read(since=made[1].position) == []
        with pytest.raises(HistoryGone):
            await node.read(since=made[0].position)
        (after,) = await node.fill("c")
        assert await node.read(since=made[1].position) == ["c"]
        assert after.position is not None
        assert after.position.offset == 3
        await node.broker.remove_history("never written to")

    async def test_names_that_mean_something_to_brokers_are_only_names(self, node: Node) -> None:
        names = ["a.b", "a.*", "*", "#", "a:b/c", "@x", "A", "a", "-", "_", "x" * 255]
        for name in names:
            await node.broker.subscribe(name, KEEP)
        for name in names:
            await node.broker.publish(name, f"to {name}", history=KEEP)
        await node.payloads(len(names))
        assert {one.room: one.payload for one in node.delivered} == {name: f"to {name}" for name in names}
        assert len(node.delivered) == len(names)
        for name in names:
            page = await node.broker.history(name, KEEP, since=None, limit=None, reverse=False)
            assert [one.payload for one in page.publications] == [f"to {name}"]

    # Claims

    async def test_only_the_first_claim_is_granted(self, node: Node) -> None:
        granted = await asyncio.gather(*(node.broker.claim("ticket", 60.0) for _ in range(20)))
        assert sorted(granted) == [False] * 19 + [True]
        assert await node.broker.claim("another ticket", 60.0)

    async def test_a_claim_ends_with_its_time(self, node: Node) -> None:
        assert await node.broker.claim("ticket", 0.05)
        assert not await node.broker.claim("ticket", 60.0)
        assert await eventually(lambda: node.broker.claim("ticket", 60.0))
        assert not await node.broker.claim("ticket", 60.0)
