"""Presence heals, whatever fails: nodes, links, the broker."""

import asyncio

import pytest
from node_cluster import TURNS, cluster_of, failing, refuse_once, said
from polling import turns

from hubbub.core.nodes import Command
from hubbub.core.presence_messages import Delta, Snapshot, Sync

ADA, BOB, CLEO = "user ada", "user bob", "user cleo"


async def test_members_of_a_killed_node_leave_once_within_ten_seconds() -> None:
    cluster, (a, b, c) = await cluster_of(3)
    for node, client in ((a, "c1"), (b, "c2"), (c, "c3")):
        node.join("r", client, f"user of {client}")
    b.join("r", "tab", "user of c1")
    await cluster.advance(5.0)
    events = len(a.events)
    await cluster.kill(b)
    await cluster.advance(10.0)
    assert a.events[events:] == [("left", "r", "user user of c2")]
    assert c.events.count(("left", "r", "user user of c2")) == 1
    await cluster.advance(60.0)
    assert len(a.events) == events + 1


async def test_members_of_a_node_that_stops_leave_at_once() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    b.join("r", "c2", "bob")
    await cluster.advance(2.0)
    await cluster.stop(b)
    assert a.events[-1] == ("left", "r", BOB)
    assert await a.members("r") == {ADA}


async def test_members_of_a_process_that_stood_still_come_back() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    b.join("r", "c2", "bob")
    await cluster.advance(2.0)
    cluster.freeze(b)
    await cluster.advance(10.0)
    assert a.seen["r"] == {ADA}
    cluster.thaw(b)
    await cluster.advance(4.0)
    assert a.seen["r"] == b.seen["r"] == {ADA, BOB}
    assert a.events[-1] == ("joined", "r", BOB)
    assert ("left", "r", ADA) not in b.events


async def test_a_node_that_was_lost_is_asked_again_until_the_broker_takes_it() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    b.join("r", "c2", "bob")
    await cluster.advance(2.0)
    cluster.freeze(b)
    await cluster.advance(10.0)
    with failing(a):
        cluster.thaw(b)
        await cluster.advance(4.0)
        assert a.seen["r"] == {ADA}
    await cluster.advance(6.0)
    assert a.seen["r"] == {ADA, BOB}


@pytest.mark.parametrize("how", ["refuse", "take"])
async def test_what_the_broker_does_not_take_is_said_as_a_snapshot_later(how: str) -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    b.join("r", "c2", "bob")
    await cluster.advance(2.0)
    with failing(a, how):
        a.leave("r", "c1")
        a.join("r", "c3", "cleo")
        await cluster.advance(3.0)
    await cluster.advance(5.0)
    assert a.seen["r"] == b.seen["r"] == {BOB, CLEO}
    assert isinstance(said(a)[-1], Snapshot)
    tries = len(said(a))
    await cluster.advance(30.0)
    assert len(said(a)) == tries


async def test_attempts_become_rarer_and_wait_for_the_link() -> None:
    cluster, (a,) = await cluster_of(1)
    a.join("r", "c1", "ada")
    await turns(TURNS)
    with failing(a):
        a.join("r", "c2", "bob")
        await cluster.advance(60.0)
        tries = len(said(a))
        assert 10 <= tries <= 20
        for number in range(20):
            a.join("r", f"d{number}", "bob")
            await turns(2)
        assert len(said(a)) == tries
        a.link.up = False
        await cluster.advance(60.0)
        assert len(said(a)) == tries
        a.link.up = True
    await cluster.advance(5.0)
    assert a.seen["r"] == {ADA, BOB}
    with failing(a):
        a.join("r", "c", "cleo")
        await turns(TURNS)
    await cluster.advance(0.25)  # the delay is that of a first attempt again
    assert a.seen["r"] == {ADA, BOB, CLEO}


async def test_a_join_that_is_told_as_a_snapshot_is_a_join() -> None:
    cluster, (a, b) = await cluster_of(2)
    refuse_once(a, Delta)
    a.join("r", "c1", "ada")
    await cluster.advance(0.25)
    assert [type(one) for one in said(a)] == [Delta, Snapshot, Sync]
    assert a.events == [("joined", "r", ADA)]
    assert b.events == []


async def test_the_others_are_asked_again_if_the_broker_does_not_take_the_question() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    await turns(TURNS)
    refuse_once(b, Command)
    asking = asyncio.ensure_future(b.members("r"))
    await turns(TURNS)
    assert not asking.done()
    await cluster.advance(0.25)
    assert asking.result() == {ADA}
    refuse_once(b, Sync)
    a.join("s", "c1", "ada")
    b.join("s", "c2", "bob")
    await cluster.advance(0.25)
    assert b.seen["s"] == {ADA, BOB}


async def test_what_the_broker_takes_too_late_does_not_bring_back_who_has_left() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    b.join("r", "c2", "bob")
    await cluster.advance(2.0)
    with failing(a, "late"):
        a.join("r", "c3", "cleo")
        await turns(TURNS)
    a.leave("r", "c3")
    await cluster.advance(2.0)
    count = len(said(a, kind=Snapshot))
    cluster.deliver_late()
    await turns(TURNS)
    assert a.seen["r"] == b.seen["r"] == {ADA, BOB}
    assert CLEO not in {key for _, _, key in b.events}
    assert len(said(a, kind=Snapshot)) == count + 1  # for nodes that do not know what is newer


async def test_messages_lost_for_good_are_made_up_for_by_snapshots_of_all() -> None:
    cluster, (a, b, c) = await cluster_of(3)
    for node, client, user in ((a, "c1", "ada"), (b, "c2", "bob"), (c, "c3", "cleo")):
        node.join("r", client, user)
    await cluster.advance(2.0)
    a.link.dropping["#p:r"] = 2
    b.leave("r", "c2")
    c.join("r", "c4", "dan")
    await turns(TURNS)
    assert a.seen["r"] == {ADA, BOB, CLEO}
    a.link.report("#p:r")
    await cluster.advance(0.25)
    assert a.seen["r"] == {ADA, CLEO, "user dan"}
    assert a.wrong == []


async def test_what_a_node_does_not_hear_of_itself_it_says_again() -> None:
    cluster, (a, _) = await cluster_of(2)
    a.join("r", "c1", "ada")
    await cluster.advance(2.0)
    a.link.dropping["#p:r"] = 1
    a.join("r", "c2", "bob")
    await turns(TURNS)
    assert a.seen["r"] == {ADA}
    a.link.report("#p:r")
    await cluster.advance(0.25)
    assert a.seen["r"] == {ADA, BOB}


async def test_a_loss_is_made_up_for_even_if_the_other_node_has_forgotten_the_room() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    b.join("r", "c2", "bob")
    await cluster.advance(2.0)
    a.link.dropping["#p:r"] = 10
    b.leave("r", "c2")
    await cluster.advance(61.0)
    assert b.link.listeners.keys() == {"#nodes"}
    assert a.seen["r"] == {ADA, BOB}
    a.link.dropping.clear()
    a.link.report("#p:r")
    await cluster.advance(0.25)
    assert a.seen["r"] == {ADA}


async def test_who_does_not_answer_after_a_loss_is_asked_again() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    b.join("r", "c2", "bob")
    await cluster.advance(2.0)
    a.link.dropping["#p:r"] = 1
    b.leave("r", "c2")
    await turns(TURNS)
    b.link.dropping["#nodes"] = 1  # the question; its own announcements are not in the way
    a.link.report("#p:r")
    await cluster.advance(0.25)
    b.link.missing.clear()
    assert a.seen["r"] == {ADA, BOB}
    await cluster.advance(2.0)
    assert a.seen["r"] == {ADA}


async def test_a_loss_in_the_control_room_has_all_members_said_again() -> None:
    cluster, (a, _) = await cluster_of(2)
    a.join("r", "c1", "ada")
    a.join("s", "c1", "ada")
    await cluster.advance(2.0)
    a.link.missing.add("#nodes")
    a.link.report("#nodes")
    await turns(TURNS)
    assert [len(said(a, room, Snapshot)) for room in ("r", "s")] == [1, 1]
