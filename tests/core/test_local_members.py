"""What a node has to tell of its own members: only what the others do not know."""

from itertools import count

import pytest

from hubbub.core import local_members
from hubbub.core.errors import LimitReached
from hubbub.core.local_members import LocalMembers
from hubbub.core.presence_messages import MAX_CHUNK, Delta, Member, Snapshot, make_member


class Told:
    """Members, and the messages about them."""

    def __init__(self) -> None:
        self.members = LocalMembers()
        self.numbers = count(1)

    def join(self, *clients: str, user: str | None = None) -> None:
        for client in clients:
            self.members.join(make_member(client, user))

    def take(self) -> list[Delta] | list[Snapshot]:
        return self.members.take("n", lambda: next(self.numbers))


def ids(members: list[Member]) -> list[str]:
    return [member.client for member in members]


def test_changes_between_two_messages_become_one() -> None:
    told = Told()
    told.join("a", "b")
    assert told.members.untold
    assert told.take() == [Delta("n", 1, [make_member("a"), make_member("b")], [])]
    assert not told.members.untold
    assert told.take() == []
    told.join("c")
    told.members.leave("a")
    assert told.take() == [Delta("n", 2, [make_member("c")], ["a"])]
    assert list(told.members.clients) == ["b", "c"]


def test_who_came_and_went_is_not_mentioned() -> None:
    told = Told()
    told.join("a")
    told.members.leave("a")
    assert told.take() == []
    told.join("a")
    told.members.leave("a")
    told.join("a")
    assert told.take() == [Delta("n", 1, [make_member("a")], [])]


def test_who_went_and_came_back_is_said_to_be_there() -> None:
    told = Told()
    told.join("a")
    told.take()
    told.members.leave("a")
    told.join("a", user="ada")
    (delta,) = told.take()
    assert delta == Delta("n", 2, [make_member("a", "ada")], [])
    told.members.leave("a")
    told.join("a")
    told.members.leave("a")
    assert told.take() == [Delta("n", 3, [], ["a"])]


def test_whoever_is_not_there_cannot_leave() -> None:
    told = Told()
    assert not told.members.leave("a")
    assert not told.members.untold


def test_after_a_failure_everything_is_told() -> None:
    told = Told()
    told.join("a", "b")
    told.take()
    told.members.leave("b")
    told.members.tell_all()
    assert told.take() == [Snapshot("n", 2, 0, True, [make_member("a")])]
    assert told.take() == []
    told.members.leave("a")
    told.members.tell_all()
    assert told.take() == [Snapshot("n", 3, 0, True, [])]


def test_many_members_are_told_in_parts() -> None:
    told = Told()
    told.join(*(f"c{number}" for number in range(MAX_CHUNK + 1)))
    told.members.tell_all()
    first, second = told.take()
    assert (first.part, first.last, len(first.members)) == (0, False, MAX_CHUNK)
    assert (second.part, second.last, ids(second.members)) == (1, True, [f"c{MAX_CHUNK}"])
    assert second.sequence > first.sequence


def test_of_many_changes_those_who_came_are_told_first() -> None:
    told = Told()
    old = [f"old{number}" for number in range(2 * MAX_CHUNK)]
    told.join(*old)
    told.take()
    for client in old:
        told.members.leave(client)
    told.join(*(f"new{number}" for number in range(MAX_CHUNK + 3)))
    deltas = told.take()
    assert [(len(one.joined), len(one.left)) for one in deltas] == [(500, 0), (3, 500), (0, 500)]
    assert [client for one in deltas for client in one.left] == old


def test_the_members_of_a_node_in_a_room_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_members, "MAX_MEMBERS", 2)
    told = Told()
    told.join("a", "b", "a")
    with pytest.raises(LimitReached):
        told.join("c")
    assert list(told.members.clients) == ["a", "b"]
