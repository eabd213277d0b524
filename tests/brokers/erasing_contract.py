"""What every broker must do when a publication is erased: a part of `BrokerContract`."""

import asyncio
import random

import pytest
from broker_node import KEEP, Node, position_of

from hubbub import History, HistoryGone, Position


class ErasingContract:
    """Tests of a fixture `node` that is subscribed to the room "r"."""

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
