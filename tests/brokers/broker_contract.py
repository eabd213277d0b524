"""What every broker must do: a broker's test file derives a class from `BrokerContract`."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from polling import eventually

from hubbub import BrokerError, History, HistoryGone, Position, Publication
from hubbub.brokers import Broker

KEEP = History(size=5, ttl=60.0)


class Node:
    """A broker and what it has delivered."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.delivered: list[Publication] = []
        self.interruptions: list[tuple[str, Position]] = []
        self.passes: list[tuple[str, Position]] = []

    def publication(self, publication: Publication) -> None:
        """Called by the broker."""
        self.delivered.append(publication)

    def passed(self, room: str, position: Position) -> None:
        """Called by the broker."""
        self.passes.append((room, position))

    def interrupted(self, room: str, position: Position) -> None:
        """Called by the broker."""
        self.interruptions.append((room, position))

    async def payloads(self, count: int) -> list[str | bytes]:
        """The payloads delivered, once there are so many."""
        await eventually(lambda: len(self.delivered) >= count)
        return [one.payload for one in self.delivered]

    async def fill(self, *payloads: str, history: History = KEEP) -> list[Publication]:
        """Publish to room "r"."""
        return [await self.broker.publish("r", payload, history=history) for payload in payloads]

    async def erase(self, publication: Publication) -> bool:
        """Erase a publication of room "r"."""
        return await self.broker.erase("r", KEEP, position_of(publication))

    async def read(
        self, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> list[str | bytes]:
        """The payloads that the history of room "r" answers with."""
        page = await self.broker.history("r", KEEP, since=since, limit=limit, reverse=reverse)
        return [one.payload for one in page.publications]


def position_of(publication: Publication) -> Position:
    """Where a publication stands that must have a position."""
    assert publication.position is not None
    return publication.position


class BrokerContract:
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

    # Erasing

    async def test_an_erased_publication_is_in_no_page_and_the_others_are_complete(self, node: Node) -> None:
        made = await node.fill("a", "b", "c", "d")
        assert await node.erase(made[1])
        assert await node.read() == ["a", "c", "d"]
        assert await node.read(reverse=True) == ["d", "c", "a"]
        for since, expected in ((0, "cd"), (1, "cd"), (2, "d"), (3, "")):
            assert await node.read(since=made[since].position) == list(expected)
        page = await node.broker.history("r", KEEP, since=made[0].position, limit=None, reverse=False)
        assert page.position == made[3].position
        assert [one.position for one in page.publications] == [made[2].position, made[3].position]

    async def test_a_limit_does_not_count_what_was_erased(self, node: Node) -> None:
        made = await node.fill("a", "b", "c", "d", "e")
        for one in made[1:3]:
            assert await node.erase(one)
        assert await node.read(limit=2) == ["a", "d"]
        assert await node.read(since=made[0].position, limit=1) == ["d"]
        assert await node.read(since=made[0].position, limit=2) == ["d", "e"]
        await node.erase(made[3])
        assert await node.read(limit=2, reverse=True) == ["e", "a"]

    async def test_offsets_go_on_after_the_newest_was_erased(self, node: Node) -> None:
        made = await node.fill("a", "b", "c")
        assert await node.erase(made[2])
        assert await node.erase(made[1])
        page = await node.broker.history("r", KEEP, since=made[0].position, limit=None, reverse=False)
        assert (list(page.publications), page.position) == ([], made[2].position)
        assert await node.read(since=made[2].position) == []
        assert await node.broker.subscribe("r", KEEP) == made[2].position
        (after,) = await node.fill("d")
        assert after.position == Position(page.position.epoch, 4)
        assert await node.read(since=made[0].position) == ["d"]
        assert await node.payloads(4) == ["a", "b", "c", "d"]
        assert node.interruptions in ([], [("r", Position(page.position.epoch, 0))])

    async def test_a_history_of_which_all_was_erased_is_empty_and_complete(self, node: Node) -> None:
        made = await node.fill("a", "b")
        beginning = Position(position_of(made[0]).epoch, 0)
        for one in made:
            assert await node.erase(one)
        assert await node.read() == []
        assert await node.read(since=beginning) == []
        (after,) = await node.fill("c")
        assert position_of(after).offset == 3
        assert await node.read(since=beginning) == ["c"]

    async def test_what_is_not_there_is_not_erased(self, node: Node) -> None:
        made = await node.fill(*"abcdefg")  # keeps c, d, e, f and g
        epoch = position_of(made[0]).epoch
        assert await node.erase(made[3])
        for position in (made[3].position, Position(epoch, 8), Position(epoch, 0), Position("other", 5)):
            assert position is not None
            assert not await node.broker.erase("r", KEEP, position)
        assert not await node.broker.erase("never written to", KEEP, Position(epoch, 1))
        assert await node.read() == ["c", "e", "f", "g"]

    async def test_what_leaves_the_window_is_gone_whether_erased_or_not(self, node: Node) -> None:
        made = await node.fill(*"abcdefg")
        await node.erase(made[2])
        await node.erase(made[4])
        with pytest.raises(HistoryGone):
            await node.read(since=made[0].position)
        assert await node.read(since=made[1].position) == ["d", "f", "g"]
        more = await node.fill(*"hijklmnopq")
        assert await node.read(since=more[4].position) == list("mnopq")
        for one in (made[1], made[4], more[3]):
            with pytest.raises(HistoryGone):
                await node.read(since=one.position)

    async def test_erasing_again_and_again_goes_on_for_ever(self, node: Node) -> None:
        (first,) = await node.fill("first")
        for number in range(20):
            (one,) = await node.fill(f"{number}")
            assert await node.erase(one)
        (last,) = await node.fill("last")
        assert position_of(last).offset == 22
        assert (await node.read())[-1] == "last"
        assert await node.read(since=Position(position_of(last).epoch, 17)) == ["last"]
        with pytest.raises(HistoryGone):
            await node.read(since=first.position)

    async def test_what_was_erased_stays_published_under_its_idempotency_key(self, node: Node) -> None:
        first = await node.broker.publish("r", "a", history=KEEP, idempotency_key="k")
        assert await node.erase(first)
        again = await node.broker.publish("r", "a", history=KEEP, idempotency_key="k")
        assert again.position == first.position
        assert await node.read() == []

    async def test_what_was_erased_stays_erased_after_a_restart(self, node: Node) -> None:
        made = await node.fill("a", "b", "c")
        await node.erase(made[1])
        await node.broker.stop()
        await node.broker.start(node)
        await node.broker.subscribe("r", KEEP)
        (after,) = await node.fill("d")
        assert position_of(after) == Position(position_of(made[0]).epoch, 4)
        assert await node.read(since=made[0].position) == ["c", "d"]

    async def test_many_publications_are_erased_at_once(self, node: Node) -> None:
        large = History(size=200, ttl=60.0)
        made = await asyncio.gather(*(node.broker.publish("r", f"{n}", history=large) for n in range(100)))
        erased = made[:40] + made[60:]
        answers = await asyncio.gather(*(node.broker.erase("r", large, position_of(one)) for one in erased))
        assert all(answers)
        beginning = Position(position_of(made[0]).epoch, 0)
        page = await node.broker.history("r", large, since=beginning, limit=None, reverse=False)
        assert list(page.publications) == list(made[40:60])
        assert page.position.offset == 100

    async def test_a_history_with_erased_ones_can_be_removed(self, node: Node) -> None:
        made = await node.fill("a", "b", "c")
        await node.erase(made[2])
        await node.broker.remove_history("r")
        with pytest.raises(HistoryGone):
            await node.read(since=made[0].position)
        await node.fill("d")
        assert await node.read(since=made[2].position) == ["d"]

    async def test_whatever_is_published_and_erased_the_history_is_what_is_left(self, node: Node) -> None:
        """What a broker keeps beyond the size is its own matter, as long as it is whole."""
        chance = random.Random(1)
        page = await node.broker.history("r", KEEP, since=None, limit=0, reverse=False)
        left: dict[int, str] = {}
        for top in range(100):
            if top:
                for _ in range(chance.randint(0, 2)):
                    offset = chance.randint(max(1, top - KEEP.size + 1), top)
                    erased = await node.broker.erase("r", KEEP, Position(page.position.epoch, offset))
                    assert erased is (left.pop(offset, None) is not None)
            for since in {top, max(0, top - 1), max(0, top - KEEP.size), chance.randint(0, top)}:
                whole = [payload for offset, payload in left.items() if offset > since]
                limit = chance.choice([None, 1, 2])
                try:
                    found = await node.read(Position(page.position.epoch, since), limit)
                except HistoryGone:
                    assert since < top - KEEP.size
                else:
                    assert found == whole[:limit]
            everything = await node.read()
            assert everything == [*left.values()][len(left) - len(everything) :]
            assert len(everything) >= sum(offset > top - KEEP.size for offset in left)
            assert await node.read(reverse=True, limit=3) == everything[::-1][:3]
            await node.fill(f"{top + 1}")
            left[top + 1] = f"{top + 1}"

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
