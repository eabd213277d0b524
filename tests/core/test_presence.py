"""Presence counts users; their tabs, on whatever node, are their own affair."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core import presence
from hubbub.core.local_members import LocalMembers
from hubbub.core.presence import Change, PresenceTable
from hubbub.core.presence_messages import Delta, Member, Snapshot, make_member


class Room:
    """A table, and the messages that it gets."""

    def __init__(self) -> None:
        self.table = PresenceTable()
        self.numbers = count(1)

    def join(self, node: str, *members: Member) -> list[tuple[str, str]]:
        return told(self.table.apply(Delta(node, next(self.numbers), list(members), [])))

    def leave(self, node: str, *clients: str) -> list[tuple[str, str]]:
        return told(self.table.apply(Delta(node, next(self.numbers), [], list(clients))))

    def part(self, node: str, part: int, last: bool, *members: Member) -> list[tuple[str, str]]:
        return told(self.table.apply(Snapshot(node, next(self.numbers), part, last, list(members))))

    def snapshot(self, node: str, *members: Member) -> list[tuple[str, str]]:
        return self.part(node, 0, True, *members)

    @property
    def keys(self) -> list[str]:
        return [one.members[0].key for one in self.table.present()]


def told(changes: list[Change]) -> list[tuple[str, str]]:
    return [("joined" if one.joined else "left", one.present.members[0].key) for one in changes]


def tab(number: int, user: str | None = "ada", info: object = None) -> Member:
    return make_member(f"tab {number}", user, info)


def test_a_user_comes_with_the_first_tab_and_goes_with_the_last_on_whatever_node() -> None:
    room = Room()
    assert room.join("n", tab(1)) == [("joined", "user ada")]
    assert room.join("m", tab(2)) == []
    assert room.leave("n", "tab 1") == []
    assert len(room.table) == 1
    assert room.leave("m", "tab 2") == [("left", "user ada")]
    assert (len(room.table), room.table.present()) == (0, [])


def test_each_connection_that_comes_or_goes_is_told_of_too() -> None:
    table, seen = PresenceTable(), list[tuple[str, bool]]()

    def moved(member: Member, came: bool) -> None:
        seen.append((member.key if member.user == "bob" else member.client, came))

    table.apply(Delta("n", 1, [tab(1), tab(2)], []), moved)
    table.apply(Delta("n", 2, [tab(2, info=1), tab(3)], ["tab 1", "tab 9"]), moved)
    table.apply(Delta("n", 3, [tab(2, "bob")], []), moved)
    table.apply(Snapshot("n", 4, 0, True, [tab(3), tab(4)]), moved)
    table.drop("n", moved)
    assert seen == [
        *(("tab 1", True), ("tab 2", True)),
        *(("tab 3", True), ("tab 1", False)),
        *(("tab 2", False), ("user bob", True)),
        *(("tab 4", True), ("user bob", False)),
        *(("tab 3", False), ("tab 4", False)),
    ]


def test_connections_without_user_count_by_themselves() -> None:
    room = Room()
    assert room.join("n", tab(1, None), tab(2, None)) == [
        ("joined", "client tab 1"),
        ("joined", "client tab 2"),
    ]
    assert room.leave("n", "tab 1") == [("left", "client tab 1")]


def test_a_user_is_shown_with_all_tabs_and_the_info_of_the_oldest() -> None:
    room = Room()
    room.join("n", tab(1, info={"color": "red"}), tab(2, info={"color": "blue"}))
    (ada,) = room.table.present()
    assert (ada.user, ada.info, ada.members) == (
        "ada",
        {"color": "red"},
        (tab(1, info={"color": "red"}), tab(2, info={"color": "blue"})),
    )
    room.leave("n", "tab 1")
    assert room.table.present()[0].info == {"color": "blue"}


def test_a_change_tells_of_the_user_after_coming_and_before_going() -> None:
    table = PresenceTable()
    (joined,) = table.apply(Delta("n", 1, [tab(1), tab(2)], []))
    (left,) = table.apply(Delta("n", 2, [], ["tab 1", "tab 2"]))
    assert joined.present == left.present
    assert joined.present.members == (tab(1), tab(2))


def test_new_info_of_a_tab_is_no_event() -> None:
    room = Room()
    room.join("n", tab(1), tab(2))
    assert room.join("n", tab(1, info={"a": 1})) == []
    assert room.table.present()[0].info == {"a": 1}


def test_a_tab_that_changes_its_user_leaves_the_old_one() -> None:
    room = Room()
    room.join("n", tab(1))
    assert sorted(room.join("n", tab(1, "bob"))) == [("joined", "user bob"), ("left", "user ada")]
    assert room.keys == ["user bob"]
    assert room.table.clients("n") == {"tab 1"}


def test_a_quick_reconnect_is_no_event() -> None:
    room = Room()
    room.join("n", tab(1), make_member("other", "bob"))
    assert told(room.table.apply(Delta("n", 10, [tab(2)], ["tab 1"]))) == []
    assert room.keys == ["user ada", "user bob"]


def test_a_snapshot_tells_only_the_differences() -> None:
    room = Room()
    room.join("n", tab(1), make_member("b", "bob"))
    room.join("m", make_member("c", "cleo"))
    assert room.snapshot("n", tab(7), make_member("d", "dan")) == [
        ("joined", "user dan"),
        ("left", "user bob"),
    ]
    assert room.table.clients("n") == {"tab 7", "d"}
    assert room.snapshot("n", tab(7), make_member("d", "dan")) == []
    assert room.snapshot("n") == [("left", "user ada"), ("left", "user dan")]
    assert room.keys == ["user cleo"]


def test_a_snapshot_in_parts_counts_with_the_last_one() -> None:
    room = Room()
    room.join("n", tab(1))
    assert room.part("n", 0, False, make_member("b", "bob")) == []
    assert room.part("n", 1, False, make_member("c", "cleo")) == []
    assert room.keys == ["user ada"]
    assert room.part("n", 2, True, make_member("d", "dan")) == [
        ("joined", "user bob"),
        ("joined", "user cleo"),
        ("joined", "user dan"),
        ("left", "user ada"),
    ]


def test_a_snapshot_with_a_part_missing_is_void() -> None:
    room = Room()
    room.join("n", tab(1))
    assert room.part("n", 1, True, make_member("b", "bob")) == []
    room.part("n", 0, False, make_member("b", "bob"))
    assert room.part("n", 2, True, make_member("c", "cleo")) == []
    assert room.part("n", 1, True, make_member("d", "dan")) == []
    assert room.keys == ["user ada"]


def test_a_snapshot_is_void_if_something_came_between_its_parts() -> None:
    room = Room()
    room.part("n", 0, False, tab(1))
    room.join("n", tab(2, "bob"))
    assert room.part("n", 1, True) == []
    room.part("n", 0, False, tab(1))
    room.table.interrupted()
    assert room.part("n", 1, True) == []
    assert room.keys == ["user bob"]


def test_the_parts_of_two_nodes_do_not_mix() -> None:
    room = Room()
    room.part("n", 0, False, tab(1))
    room.part("m", 0, False, tab(2, "bob"))
    assert room.part("m", 1, True) == [("joined", "user bob")]
    assert room.part("n", 1, True) == [("joined", "user ada")]


def test_an_old_message_that_comes_late_is_void() -> None:
    table = PresenceTable()
    table.apply(Delta("n", 5, [tab(1)], []))
    late = Delta("n", 4, [tab(2, "bob")], ["tab 1"])
    assert table.outdated(late)
    assert table.apply(late) == []
    assert table.apply(Snapshot("n", 5, 0, True, [])) == []
    assert not table.outdated(Delta("m", 1, [], []))
    table.apply(Snapshot("n", 6, 0, True, []))
    assert table.outdated(late)  # also when nobody is left


def test_a_node_that_is_gone_takes_its_members_along() -> None:
    room = Room()
    room.join("n", tab(1), make_member("b", "bob"))
    room.join("m", tab(2))
    assert told(room.table.drop("n")) == [("left", "user bob")]
    assert room.table.drop("n") == []
    assert room.keys == ["user ada"]
    assert room.join("n", make_member("b", "bob")) == [("joined", "user bob")]


def test_whoever_is_not_there_cannot_leave() -> None:
    room = Room()
    room.join("n", tab(1))
    assert room.leave("n", "tab 2") == []
    assert room.leave("m", "tab 1") == []
    assert room.keys == ["user ada"]


def test_the_members_of_a_node_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "MAX_MEMBERS", 2)
    room = Room()
    room.join("n", tab(1), tab(2), tab(3))
    assert room.table.clients("n") == {"tab 1", "tab 2"}
    room.part("n", 0, False, tab(4), tab(5))
    assert room.part("n", 1, True, tab(6)) == []
    assert room.table.clients("n") == {"tab 1", "tab 2"}


USERS = (None, "ada", "bob")
STEP = st.tuples(
    st.sampled_from(("join", "join", "leave", "tell", "tell all")),
    st.sampled_from("nm"),
    st.integers(0, 4),
    st.sampled_from(USERS),
)


@given(st.lists(STEP, max_size=60))
def test_the_table_knows_what_the_nodes_have_told_and_users_come_and_go_in_turns(
    steps: list[tuple[str, str, int, str | None]],
) -> None:
    nodes = {"n": LocalMembers(), "m": LocalMembers()}
    truth: dict[tuple[str, str], str] = {}
    table, numbers, seen = PresenceTable(), count(1), set()

    def tell(node: str) -> None:
        for message in nodes[node].take(node, lambda: next(numbers)):
            for change in table.apply(message):
                key = change.present.members[0].key
                assert (key not in seen) is change.joined
                (seen.add if change.joined else seen.remove)(key)

    for kind, node, number, user in [*steps, ("tell", "n", 0, None), ("tell", "m", 0, None)]:
        client = f"{node}{number}"
        if kind == "join":
            nodes[node].join(make_member(client, user))
            truth[node, client] = make_member(client, user).key
        elif kind == "leave":
            assert nodes[node].leave(client) is (truth.pop((node, client), None) is not None)
        else:
            if kind == "tell all":
                nodes[node].tell_all()
            tell(node)
            assert table.clients(node) == nodes[node].clients
    assert seen == {one.members[0].key for one in table.present()} == set(truth.values())
