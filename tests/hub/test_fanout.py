"""Fan-out: encoded once, written once per turn."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import pytest
from polling import turns

from hubbub.core.messages import Payload, Publication
from hubbub.core.options import RoomOptions
from hubbub.core.outbox import Outgoing, Overflow, encode_each, size_of
from hubbub.core.rooms import Rooms
from hubbub.core.stats import Stats
from hubbub.hub.fanout import TICK_BYTES, Fanout


class Codec:
    """Counts what it encodes."""

    def __init__(self) -> None:
        self.encoded = 0

    def encode(
        self,
        payload: Payload,
        *,
        room: str | None = None,
        key: str | None = None,
        overflow: Overflow = Overflow.DISCONNECT,
    ) -> Outgoing[Payload]:
        self.encoded += 1
        return Outgoing(payload, len(payload), room, key, overflow)

    def join(self, items: list[Outgoing[Any]]) -> tuple[Any, ...]:
        return tuple(item.frame for item in items)

    def encode_all(
        self, publications: list[Publication], payloads: list[Payload], overflow: Overflow
    ) -> list[Outgoing[Any]]:
        return encode_each(self, publications, payloads, overflow)

    def line_up(self, handles: Collection[Any]) -> list[Any]:
        return list(handles)

    def size(self, items: list[Outgoing[Any]]) -> int:
        return size_of(items)

    def deliver(self, line: list[Any], items: list[Outgoing[Any]]) -> dict[Any, Any]:
        batch = self.join(items)
        return {handle: batch[1:] for handle in line if not handle(batch)}


class Member:
    """Keeps what is written to it; may do something when it is."""

    def __init__(self, codec: Codec, react: Callable[["Member"], None] = lambda me: None) -> None:
        self.codec = codec
        self.full = False  # takes only a part
        self.got: list[tuple[Any, ...]] = []
        self._react = react

    def handle(self, batch: tuple[Any, ...]) -> bool:
        """Take it, whole or in part."""
        self.got.append(batch[:1] if self.full else batch)
        self._react(self)
        return not self.full

    def write_rest(self, rest: tuple[Any, ...]) -> None:
        """Take what was left."""
        self.got.append(("the rest", *rest))


class Stage:
    def __init__(self) -> None:
        self.rooms: Rooms[Any] = Rooms(lambda name: RoomOptions())
        self.stats = Stats()
        self.fanout = Fanout(self.rooms, self.stats)

    def publish(self, room: str, payload: Payload) -> None:
        self.fanout.publication(Publication(room, payload, 0.0))


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_what_is_published_in_one_turn_is_encoded_once_and_written_in_one_go(stage: Stage) -> None:
    one, other = Codec(), Codec()
    members = [Member(one), Member(one), Member(other)]
    for member in members:
        stage.rooms.join("r", member)
    for payload in "abc":
        stage.publish("r", payload)
    assert [member.got for member in members] == [[], [], []]
    await turns(2)
    assert [member.got for member in members] == [[("a", "b", "c")]] * 3
    assert (one.encoded, other.encoded, stage.stats.delivered) == (3, 3, 9)


async def test_a_room_without_members_costs_nothing(stage: Stage) -> None:
    stage.publish("nobody", "a")
    await turns(2)
    assert (stage.stats.delivered, stage.fanout.full) == (0, False)


async def test_a_room_can_be_written_before_the_turn_ends_and_only_once(stage: Stage) -> None:
    member = Member(Codec())
    stage.rooms.join("r", member)
    stage.publish("r", "a")
    stage.fanout.flush_room("r")
    stage.publish("r", "b")
    stage.fanout.flush()
    await turns(2)
    assert member.got == [("a",), ("b",)]


async def test_a_member_that_leaves_while_the_room_is_written_harms_nobody(stage: Stage) -> None:
    codec = Codec()
    first = Member(codec, lambda me: stage.rooms.forget(me) and None)
    second = Member(codec)
    for member in (first, second):
        stage.rooms.join("r", member)
    for payload in "ab":
        stage.publish("r", payload)
        await turns(2)
    assert (first.got, second.got) == ([("a",)], [("a",), ("b",)])


async def test_a_member_that_takes_only_a_part_gets_the_rest_before_anything_else(stage: Stage) -> None:
    codec = Codec()
    slow, fast = Member(codec), Member(codec)
    slow.full = True
    for member in (slow, fast):
        stage.rooms.join("r", member)
    stage.publish("r", "a")
    stage.publish("r", "b")
    stage.fanout.flush()
    stage.publish("r", "c")
    stage.fanout.flush()
    assert fast.got == [("a", "b"), ("c",)]
    assert slow.got == [("a",), ("the rest", "b"), ("c",), ("the rest",)]


async def test_a_turn_is_full_at_its_bound_and_empty_after_it(stage: Stage) -> None:
    stage.rooms.join("r", Member(Codec()))
    stage.publish("r", b"x" * TICK_BYTES)
    assert stage.fanout.full
    await asyncio.sleep(0)
    assert not stage.fanout.full


class BrokenCodec(Codec):
    """Cannot encode anything."""

    def encode(self, payload: Payload, **about: Any) -> Outgoing[Payload]:
        raise ValueError("not this")


async def test_a_room_that_cannot_be_written_harms_no_other(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    broken, member = Member(BrokenCodec()), Member(Codec())
    stage.rooms.join("broken", broken)
    stage.rooms.join("r", member)
    for payload in "ab":
        stage.publish("broken", payload)
        stage.publish("r", payload)
        await turns(2)
    assert (broken.got, member.got) == ([], [("a",), ("b",)])
    assert [record.message.split(":")[0] for record in caplog.records] == ["room broken"] * 2
