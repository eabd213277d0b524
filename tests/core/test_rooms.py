"""The registry of rooms, step by step and under a state machine."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hubbub.core.formats import ENVELOPE, PLAIN
from hubbub.core.options import RoomOptions
from hubbub.core.rooms import Room, Rooms


@dataclass(frozen=True)
class Member:
    name: str
    codec: str

    @property
    def handle(self) -> str:
        """What a room writes to."""
        return f"handle of {self.name}"


TEXT: Any = (PLAIN, "text")
BINARY: Any = (PLAIN, "binary")
ADA, BOB, EVE = Member("ada", "text"), Member("bob", "text"), Member("eve", "binary")


@pytest.fixture
def rooms() -> Rooms[Member]:
    return Rooms(lambda name: RoomOptions())  # type: ignore[type-var]


def grouped(room: Room[Member]) -> dict[Any, dict[Member, Any]]:
    """The members of a room by kind, with their handles."""
    return {kind: group.members for kind, group in room.groups.items()}


def test_a_room_exists_as_long_as_it_has_a_member(rooms: Rooms[Member]) -> None:
    assert rooms.get("r") is None
    assert rooms.join("r", ADA)
    assert (len(rooms), rooms.count("r"), [room.name for room in rooms]) == (1, 1, ["r"])
    assert rooms.leave("r", ADA)
    assert (len(rooms), rooms.count("r"), rooms.get("r"), rooms.of(ADA)) == (0, 0, None, [])


def test_joining_and_leaving_twice_is_as_good_as_once(rooms: Rooms[Member]) -> None:
    assert rooms.join("r", ADA)
    assert not rooms.join("r", ADA)
    assert rooms.count("r") == 1
    assert rooms.leave("r", ADA)
    assert not rooms.leave("r", ADA)
    assert not rooms.leave("nowhere", ADA)


def test_members_are_grouped_by_codec_in_the_order_they_joined(rooms: Rooms[Member]) -> None:
    for member in (BOB, EVE, ADA):
        rooms.join("r", member)
    room = rooms.get("r")
    assert room is not None
    groups = {kind: list(group.members) for kind, group in room.groups.items()}
    assert groups == {TEXT: [BOB, ADA], BINARY: [EVE]}
    rooms.leave("r", EVE)
    assert list(room.groups) == [TEXT]
    assert EVE not in room
    assert ADA in room


def test_members_may_leave_while_the_room_is_gone_through(rooms: Rooms[Member]) -> None:
    for member in (ADA, BOB, EVE):
        rooms.join("r", member)
    room = rooms.get("r")
    assert room is not None
    seen = [member for member in room if rooms.leave("r", member)]
    assert seen == [ADA, BOB, EVE]
    assert len(rooms) == 0


def test_a_member_that_is_forgotten_leaves_all_its_rooms(rooms: Rooms[Member]) -> None:
    for name in "cab":
        rooms.join(name, ADA)
    rooms.join("a", BOB)
    assert [room.name for room in rooms.of(ADA)] == ["c", "a", "b"]
    assert rooms.forget(ADA) == ["c", "a", "b"]
    assert rooms.forget(ADA) == []
    assert (len(rooms), rooms.count("a")) == (1, 1)


def test_a_room_takes_its_options_by_name() -> None:
    rooms: Rooms[Member] = Rooms({"r": RoomOptions()}.__getitem__)  # type: ignore[type-var]
    rooms.join("r", ADA)
    with pytest.raises(KeyError):
        rooms.join("unknown", ADA)
    assert rooms.get("unknown") is None


members = st.sampled_from([ADA, BOB, EVE])
names = st.sampled_from(["r", "s", "t"])


class RoomsMachine(RuleBasedStateMachine):
    """The registry beside a set of pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms: Rooms[Member] = Rooms(lambda name: RoomOptions())  # type: ignore[type-var]
        self.pairs: dict[tuple[str, Member], None] = {}

    @rule(name=names, member=members)
    def join(self, name: str, member: Member) -> None:
        assert self.rooms.join(name, member) == ((name, member) not in self.pairs)
        self.pairs[name, member] = None

    @rule(name=names, member=members)
    def leave(self, name: str, member: Member) -> None:
        assert self.rooms.leave(name, member) == ((name, member) in self.pairs)
        self.pairs.pop((name, member), None)

    @rule(member=members)
    def forget(self, member: Member) -> None:
        gone = [pair for pair in self.pairs if pair[1] == member]
        assert self.rooms.forget(member) == [name for name, _ in gone]
        for pair in gone:
            del self.pairs[pair]

    @invariant()
    def both_say_the_same(self) -> None:
        assert {(room.name, member) for room in self.rooms for member in room} == set(self.pairs)
        for room in self.rooms:
            assert room.count == len(list(room)) > 0
            assert all(group.members for group in room.groups.values())
        for member in (ADA, BOB, EVE):
            joined = [name for name, one in self.pairs if one == member]
            assert [room.name for room in self.rooms.of(member)] == joined
        assert len(self.rooms._memberships) == len({member for _, member in self.pairs})


TestRooms = RoomsMachine.TestCase


def test_a_member_whose_codec_changes_is_regrouped_in_all_its_rooms(rooms: Rooms[Member]) -> None:
    class Fickle:
        codec = "text"
        handle = "handle of eve"

    eve: Any = Fickle()
    for name in ("one", "two"):
        rooms.join(name, ADA)
        rooms.join(name, eve)
    eve.codec = "binary"
    assert eve in next(iter(rooms))
    rooms.regroup(eve)
    assert [grouped(room) for room in rooms] == [{TEXT: {ADA: ADA.handle}, BINARY: {eve: eve.handle}}] * 2
    assert [room.count for room in rooms] == [2, 2]
    eve.codec = "text"
    assert rooms.forget(eve) == ["one", "two"]
    assert [grouped(room) for room in rooms] == [{TEXT: {ADA: ADA.handle}}] * 2


def test_a_line_is_made_once_and_anew_when_the_members_change(rooms: Rooms[Member]) -> None:
    class Codec:
        def line_up(self, handles: Collection[str]) -> list[str]:
            return list(handles)

    codec: Any = Codec()
    ada, bob = Member("ada", codec), Member("bob", codec)
    rooms.join("r", ada)
    room: Any = rooms.get("r")
    group = room.groups[PLAIN, codec]
    line = group.line
    assert line == [ada.handle]
    assert group.line is line
    rooms.join("r", bob)
    assert group.line == [ada.handle, bob.handle]
    rooms.leave("r", ada)
    assert group.line == [bob.handle]


def test_members_of_one_codec_are_grouped_by_format_too_and_keep_it(rooms: Rooms[Member]) -> None:
    rooms.join("r", ADA)
    rooms.join("r", BOB, ENVELOPE)
    room = rooms.get("r")
    assert room is not None
    assert list(room.groups) == [TEXT, (ENVELOPE, "text")]
    rooms.regroup(BOB)
    assert list(room.groups) == [TEXT, (ENVELOPE, "text")]
