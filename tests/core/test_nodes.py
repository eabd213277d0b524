"""Leases: a node that is not heard is lost, but not if it is this node that does not hear."""

import pytest

from hubbub.core.nodes import (
    ECHO_GAP,
    LEASE,
    MAX_COMMAND_BYTES,
    MAX_NODES,
    Alive,
    Command,
    Contact,
    Goodbye,
    Node,
    NodeTable,
    read,
)
from hubbub.core.signal_codec import encode


def alive(node: str, sequence: int = 1, connections: int = 0) -> Alive:
    return Alive(node, sequence, f"name of {node}", 1.5, connections, 2)


def table_at(now: float) -> NodeTable:
    """A table of a node that hears itself."""
    table = NodeTable("me")
    table.heard(alive("me"), now)
    return table


def test_a_node_is_new_once() -> None:
    table = table_at(0.0)
    assert table.heard(alive("a"), 0.0) is Contact.NEW
    assert table.heard(alive("a", 2), 1.0) is Contact.KNOWN
    assert table.ids == ["a"]
    assert "a" in table
    assert "me" not in table


def test_a_node_is_shown_with_its_newest_figures() -> None:
    table = table_at(0.0)
    table.heard(alive("a", 1, connections=1), 0.0)
    table.heard(alive("a", 2, connections=5), 2.0)
    assert table.nodes() == [Node("a", "name of a", 1.5, 5, 2)]


def test_a_node_that_has_not_announced_itself_lives_but_is_not_shown() -> None:
    table = table_at(0.0)
    assert table.seen("a", 0.0) is Contact.NEW
    assert (table.ids, table.nodes()) == (["a"], [])
    assert table.heard(alive("a"), 1.0) is Contact.KNOWN
    assert len(table.nodes()) == 1


def test_a_node_is_lost_when_its_lease_has_run_out() -> None:
    table = table_at(0.0)
    table.heard(alive("a"), 0.0)
    table.heard(alive("b"), 1.0)
    table.heard(alive("me", 2), 3.0)
    assert table.expire(LEASE - 0.01) == []
    assert table.expire(LEASE) == ["a"]
    assert table.expire(LEASE) == []
    assert table.ids == ["b"]
    assert table.heard(alive("a", 2), LEASE) is Contact.NEW


def test_whatever_is_heard_of_a_node_renews_its_lease() -> None:
    table = table_at(0.0)
    table.heard(alive("a"), 0.0)
    for sequence, now in enumerate((3.0, 6.0, 9.0), start=2):
        table.heard(alive("me", sequence), now)
        assert table.seen("a", now - 1.0) is Contact.KNOWN
    assert table.expire(8.0 + LEASE - 1.1) == []
    table.heard(alive("me", 5), 12.0)
    assert table.expire(8.0 + LEASE) == ["a"]


def test_an_old_announcement_that_comes_late_renews_nothing() -> None:
    table = table_at(0.0)
    table.heard(alive("a", 7, connections=7), 0.0)
    table.heard(alive("a", 6), 4.0)
    table.heard(alive("a", 7), 4.0)
    table.heard(alive("me", 2), 4.0)
    assert table.nodes()[0].connections == 7
    assert table.expire(LEASE) == ["a"]


def test_no_lease_runs_out_while_this_node_does_not_hear_itself() -> None:
    table = table_at(0.0)
    table.heard(alive("a"), 0.0)
    assert table.expire(100.0) == []
    assert NodeTable("deaf").expire(100.0) == []


def test_when_this_node_hears_itself_again_every_lease_begins_anew() -> None:
    table = table_at(0.0)
    table.heard(alive("a"), 0.0)
    table.heard(alive("me", 2), 100.0)
    assert table.expire(102.0) == []
    table.heard(alive("me", 3), 104.0)
    assert table.expire(100.0 + LEASE) == ["a"]


def test_a_late_echo_within_the_gap_renews_nothing() -> None:
    table = table_at(0.0)
    table.heard(alive("a"), 0.0)
    table.heard(alive("me", 2), ECHO_GAP)
    assert table.expire(LEASE) == ["a"]


def test_no_lease_runs_out_from_the_loss_of_the_link_until_the_next_echo() -> None:
    table = table_at(0.0)
    table.heard(alive("a"), 0.0)
    table.heard(alive("me", 2), 3.0)
    table.heard(alive("me", 3), 5.0)
    table.link_down()
    assert table.expire(LEASE) == []
    table.heard(alive("me", 4), LEASE)
    assert table.expire(LEASE) == []
    table.heard(alive("me", 5), LEASE + 3.0)
    assert table.expire(2 * LEASE) == ["a"]


def test_who_said_goodbye_is_not_heard_again() -> None:
    table = table_at(0.0)
    table.heard(alive("a"), 0.0)
    assert table.departed("a")
    assert not table.departed("a")
    assert table.heard(alive("a", 2), 1.0) is Contact.IGNORED
    assert table.seen("a", 1.0) is Contact.IGNORED
    assert table.ids == []


def test_this_node_does_not_depart_from_itself() -> None:
    table = table_at(0.0)
    assert not table.departed("me")
    assert table.seen("me", 0.0) is Contact.KNOWN


def test_too_many_nodes_are_ignored() -> None:
    table = table_at(0.0)
    for number in range(MAX_NODES + 10):
        table.heard(alive(f"n{number}"), 0.0)
    assert len(table.ids) == MAX_NODES - 1  # and this one
    assert table.seen("one more", 0.0) is Contact.IGNORED
    assert table.heard(alive("n0", 2), 1.0) is Contact.KNOWN


def test_the_memory_of_those_who_departed_is_bounded() -> None:
    table = table_at(0.0)
    for number in range(MAX_NODES + 1):
        table.departed(f"n{number}")
    assert table.seen("n1", 0.0) is Contact.IGNORED
    assert table.seen("n0", 0.0) is Contact.NEW


@pytest.mark.parametrize("message", [alive("a"), Goodbye("a"), Command("a", "k", b"\xff", "b")])
def test_messages_are_read_as_they_were_written(message: Alive | Goodbye | Command) -> None:
    assert read(encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        Goodbye(""),
        Goodbye("a" * 256),
        Alive("a", -1, "name", 0.0, 0, 0),
        Alive("a", 1, "n" * 256, 0.0, 0, 0),
        Command("a", "k" * 65, b""),
        Command("a", "k", bytes(MAX_COMMAND_BYTES + 1)),
    ],
)
def test_messages_out_of_bounds_are_none(message: Alive | Goodbye | Command) -> None:
    assert read(encode(message)) is None
