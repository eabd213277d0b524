"""Rounds: who is looked at when."""

from hubbub.core.rounds import Rounds


def test_each_is_due_an_interval_after_it_came_and_after_each_look() -> None:
    rounds: Rounds[str] = Rounds(5)
    assert rounds.next_due is None
    rounds.add("ada", 0)
    rounds.add("bob", 2)
    assert rounds.next_due == 5
    assert rounds.take(4.9) == []
    assert rounds.take(5) == ["ada"]
    assert rounds.next_due == 7
    assert rounds.take(20) == ["bob", "ada"]
    assert rounds.next_due == 25


def test_who_has_gone_is_looked_at_no_more() -> None:
    rounds: Rounds[str] = Rounds(5)
    rounds.add("ada", 0)
    rounds.add("bob", 1)
    rounds.discard("ada")
    rounds.discard("eve")
    assert rounds.next_due == 6
    assert rounds.take(10) == ["bob"]
    assert len(rounds) == 1
