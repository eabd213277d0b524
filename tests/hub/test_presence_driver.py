"""Who is where, on several nodes: told once, and forgotten when nobody asks any more."""

import asyncio

import pytest
from node_cluster import TURNS, ClusterNode, cluster_of, failing, said
from polling import turns

from hubbub.core.errors import BrokerError
from hubbub.core.presence_messages import Delta, Snapshot, Sync
from hubbub.hub import presence

ADA, BOB, CLEO = "user ada", "user bob", "user cleo"


async def test_members_of_all_nodes_are_known_on_those_that_have_members() -> None:
    _, (a, b, c) = await cluster_of(3)
    a.join("r", "c1", "ada")
    b.join("r", "c2", "bob")
    await turns(TURNS)
    assert await a.members("r") == await b.members("r") == {ADA, BOB}
    assert c.link.listeners.keys() == {"#nodes"}
    assert c.events == []


async def test_a_user_comes_once_and_goes_once_for_all_tabs_on_all_nodes() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "watcher")
    b.join("r", "watcher too")
    await cluster.advance(1.0)
    a.events.clear()
    b.events.clear()
    for node, client in ((a, "tab 1"), (b, "tab 2"), (a, "tab 3")):
        node.join("r", client, "ada")
        await turns(TURNS)
    for node, client in ((a, "tab 1"), (a, "tab 3"), (b, "tab 2")):
        assert ("left", "r", ADA) not in a.events + b.events
        node.leave("r", client)
        await turns(TURNS)
    assert a.events == b.events == [("joined", "r", ADA), ("left", "r", ADA)]


async def test_info_comes_along() -> None:
    _, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada", {"color": "red"})
    await turns(TURNS)
    asking = asyncio.ensure_future(b.presence.members("r"))
    await turns(TURNS)
    (ada,) = asking.result()
    assert (ada.user, ada.info, ada.members[0].client) == ("ada", {"color": "red"}, "c1")


async def test_changes_of_one_turn_are_one_message() -> None:
    _, (a,) = await cluster_of(1)
    a.join("r", "c0")
    await turns(TURNS)
    for number in range(1, 100):
        a.join("r", f"c{number}")
    a.leave("r", "c0")
    await turns(TURNS)
    _, delta = said(a, kind=Delta)
    assert isinstance(delta, Delta)
    assert (len(delta.joined), delta.left) == (99, ["c0"])


async def test_a_quick_reconnect_is_no_event() -> None:
    _, (a, b) = await cluster_of(2)
    b.join("r", "watcher")
    a.join("r", "c1", "ada")
    await turns(TURNS)
    before = list(a.events), list(b.events)
    a.leave("r", "c1")
    a.join("r", "c2", "ada")
    await turns(TURNS)
    assert (a.events, b.events) == before
    assert await b.members("r") == {ADA, "client watcher"}


async def test_who_was_there_before_is_found_and_has_not_joined() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    await turns(TURNS)
    b.join("r", "c2", "bob")
    await turns(TURNS)
    assert sorted(b.events) == [("found", "r", ADA), ("joined", "r", BOB)]
    assert a.events == [("joined", "r", ADA), ("joined", "r", BOB)]
    await cluster.advance(1.0)
    a.join("r", "c3", "cleo")
    await turns(TURNS)
    assert b.events[-1] == ("joined", "r", CLEO)


async def test_who_asks_right_after_joining_is_told_of_everybody() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    await turns(TURNS)
    b.join("r", "c2", "bob")
    asking = asyncio.ensure_future(b.members("r"))
    await turns(2 * TURNS)
    assert asking.result() == {ADA, BOB}  # no time has passed
    await cluster.advance(2.0)
    b.join("r", "c3", "cleo")
    asking = asyncio.ensure_future(b.members("r"))
    await turns(TURNS)
    assert asking.result() == {ADA, BOB, CLEO}


async def test_a_node_without_members_asks_all_once_and_then_knows() -> None:
    cluster, (a, b, c) = await cluster_of(3)
    a.join("r", "c1", "ada")
    await turns(TURNS)
    asking = [asyncio.ensure_future(c.members("r")) for _ in range(10)]
    await turns(2 * TURNS)
    assert [one.result() for one in asking] == [{ADA}] * 10
    assert len(said(b)) == 1  # that it has nobody
    assert said(c) == []
    await cluster.advance(59.0)
    a.join("r", "c2", "bob")
    await turns(TURNS)
    sent = len(b.link.sent)
    assert await c.members("r") == {ADA, BOB}
    assert len(b.link.sent) == sent
    assert c.events == [("found", "r", ADA), ("joined", "r", BOB)]


async def test_a_node_that_does_not_answer_costs_one_second() -> None:
    cluster, (a, b, c) = await cluster_of(3)
    a.join("r", "c1", "ada")
    await turns(TURNS)
    cluster.freeze(b)
    asking = asyncio.ensure_future(c.members("r"))
    await cluster.advance(0.9)
    assert not asking.done()
    await cluster.advance(0.1)
    assert asking.result() == {ADA}
    again = asyncio.ensure_future(c.members("r"))
    await turns(TURNS)
    assert again.result() == {ADA}


async def test_who_asks_while_the_broker_is_away_is_told_so() -> None:
    cluster, (a, _) = await cluster_of(2)
    with failing(a):
        asking = asyncio.ensure_future(a.members("r"))
        await cluster.advance(1.0)
        with pytest.raises(BrokerError, match="not known"):
            await asking


async def test_a_room_is_forgotten_a_minute_after_its_last_use() -> None:
    cluster, (a, b) = await cluster_of(2)
    b.join("r", "c2", "bob")
    a.join("r", "c1", "ada")
    await turns(TURNS)
    a.leave("r", "c1")
    await cluster.advance(30.0)
    assert await a.members("r") == {BOB}
    await cluster.advance(59.0)
    assert "#p:r" in a.link.listeners
    await cluster.advance(1.0)
    assert "#p:r" not in a.link.listeners
    assert "#p:r" in b.link.listeners
    a.join("r", "c3", "cleo")
    await turns(TURNS)
    assert a.seen["r"] == {BOB, CLEO}
    await cluster.advance(120.0)
    assert "#p:r" in a.link.listeners


async def test_the_last_one_who_leaves_is_told_of_too() -> None:
    _, (a,) = await cluster_of(1)
    a.join("r", "c1", "ada")
    await turns(TURNS)
    a.leave("r", "c1")
    await turns(TURNS)
    assert a.events == [("joined", "r", ADA), ("left", "r", ADA)]


async def test_a_room_is_not_forgotten_before_the_others_know_that_nobody_is_there() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    b.join("r", "c2", "bob")
    await cluster.advance(2.0)
    a.link.refuses = lambda room, data: room == "#p:r"
    a.leave("r", "c1")
    await cluster.advance(70.0)
    assert b.seen["r"] == {ADA, BOB}
    a.link.refuses = lambda room, data: False
    await cluster.advance(10.0)
    assert b.seen["r"] == {BOB}
    await cluster.advance(120.0)
    assert a.link.listeners.keys() == {"#nodes"}


async def test_a_forgotten_room_is_not_listened_to_because_a_node_has_not_answered() -> None:
    cluster, (a, b) = await cluster_of(2)
    b.link.refuses = lambda room, data: room == "#p:r"
    asking = asyncio.ensure_future(a.members("r"))
    await cluster.advance(59.0)
    assert asking.result() == set()
    assert "#p:r" in a.link.listeners
    for _ in range(70):
        await cluster.advance(1.0)
        assert "#p:r" not in a.link.listeners


async def test_a_room_that_was_forgotten_while_the_broker_was_away_is_known_again() -> None:
    cluster, (a,) = await cluster_of(1)
    with failing(a):
        asking = asyncio.ensure_future(a.members("r"))
        await cluster.advance(61.0)
        assert isinstance(asking.exception(), BrokerError)
        a.join("r", "c1", "ada")
        await turns(TURNS)
    await cluster.advance(5.0)
    assert a.seen["r"] == {ADA}


async def test_a_node_that_came_before_the_room_could_be_listened_to_is_asked() -> None:
    cluster, (a, _) = await cluster_of(2)
    a.link.deaf = {"#p:r"}
    a.join("r", "c1", "ada")
    asking = asyncio.ensure_future(a.members("r"))
    await turns(TURNS)
    c = await cluster.start()
    c.join("r", "c2", "bob")
    await cluster.advance(3.0)
    assert isinstance(asking.exception(), BrokerError)
    a.link.deaf = set()
    await cluster.advance(5.0)
    assert a.seen["r"] == c.seen["r"] == {ADA, BOB}


async def test_who_asks_before_the_other_nodes_are_known_waits_for_their_answers_only() -> None:
    cluster, (a,) = await cluster_of(1)
    a.join("r", "c1", "ada")
    await turns(TURNS)
    b = ClusterNode(cluster)
    cluster.nodes.append(b)
    b.link.deaf = {"#p:r"}
    await b.nodes.start()
    asking = asyncio.ensure_future(b.members("r"))
    await asyncio.sleep(0)
    assert b.nodes.others == []
    await turns(TURNS)
    b.link.deaf = set()
    await cluster.advance(0.25)
    assert asking.result() == {ADA}


async def test_rooms_that_are_asked_for_are_not_forgotten_before_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence, "MAX_IDLE", 1)
    cluster, (a, b) = await cluster_of(2)
    rooms = [f"r{number}" for number in range(5)]
    for room in rooms:
        b.join(room, "c1", "ada")
    await turns(TURNS)
    asking = [asyncio.ensure_future(a.members(room)) for room in rooms]
    await turns(2 * TURNS)
    assert [one.result() for one in asking] == [{ADA}] * 5
    await cluster.advance(61.0)
    assert a.link.listeners.keys() == {"#nodes"}


async def test_rooms_kept_for_questions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "MAX_IDLE", 3)
    _, (a,) = await cluster_of(1)
    for number in range(10):
        assert await a.members(f"r{number}") == set()
    assert a.link.listeners.keys() == {"#nodes", "#p:r7", "#p:r8", "#p:r9"}


async def test_more_members_than_fit_a_message_are_all_known() -> None:
    cluster, (a, b) = await cluster_of(2)
    for number in range(1_201):
        a.join("r", f"c{number}")
    await turns(TURNS)
    assert len(said(a, kind=Delta)) == 3
    b.join("r", "c", "bob")
    await turns(2 * TURNS)
    assert len(said(a, kind=Snapshot)) == 3
    assert b.seen["r"] == cluster.truth("r")


async def test_a_room_of_interest_is_announced_to_those_who_listen_and_only_they_answer() -> None:
    cluster, (a, b, c) = await cluster_of(3)
    a.join("r", "c1", "ada")
    await cluster.advance(2.0)
    b.join("r", "c2", "bob")
    await cluster.advance(2.0)
    assert said(b, kind=Sync) == [Sync(b.id)]
    assert len(said(a, kind=Snapshot)) == 1
    assert said(c) == []


async def test_a_listener_that_fails_is_logged_and_the_others_hear(caplog: pytest.LogCaptureFixture) -> None:
    _, (a,) = await cluster_of(1)
    saw = a.saw

    def fail(kind: str, room: str, present: object) -> None:
        saw(kind, room, present)
        raise ValueError("broken")

    a.saw = fail
    a.join("r", "c1", "ada")
    a.join("r", "c2", "bob")
    await turns(TURNS)
    assert a.events == [("joined", "r", ADA), ("joined", "r", BOB)]
    assert len(caplog.records) == 2


async def test_a_node_that_said_goodbye_cannot_bring_members() -> None:
    cluster, (a, b) = await cluster_of(2)
    a.join("r", "c1", "ada")
    b.join("r", "c2", "bob")
    await turns(TURNS)
    deltas = [data for room, data in b.link.sent if room == "#p:r"]
    await cluster.stop(b)
    assert deltas
    for data in (*deltas, b"\x01\xff", b"\x02"):
        cluster.spread("#p:r", data)
    await turns(TURNS)
    assert a.seen["r"] == {ADA}


async def test_who_waits_is_released_when_the_hub_stops() -> None:
    cluster, (a, b) = await cluster_of(2)
    cluster.freeze(b)
    asking = asyncio.ensure_future(a.members("r"))
    await turns(TURNS)
    assert not asking.done()
    await cluster.stop(a)
    await turns(TURNS)
    assert isinstance(asking.exception(), BrokerError)
    assert a.link.listeners == {}
