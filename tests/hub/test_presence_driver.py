"""Who is where, on several nodes: told once, healed after whatever fails, forgotten when nobody asks."""

import asyncio

import pytest
from node_cluster import TURNS, Cluster, ClusterNode, failing
from polling import turns

from hubbub.core.errors import BrokerError
from hubbub.core.nodes import Command
from hubbub.core.nodes import read as read_control
from hubbub.core.presence_messages import Delta, Snapshot, Sync, read
from hubbub.hub import presence

ADA, BOB, CLEO = "user ada", "user bob", "user cleo"


async def cluster_of(count: int) -> tuple[Cluster, list[ClusterNode]]:
    cluster = Cluster()
    return cluster, [await cluster.start() for _ in range(count)]


def said(node: ClusterNode, room: str = "r", kind: type = object) -> list[object]:
    """What the node has tried to say in the room."""
    messages = [read(data) for name, data in node.link.sent if name == f"#p:{room}"]
    return [message for message in messages if isinstance(message, kind)]


def refuse_once(node: ClusterNode, kind: type) -> None:
    """The broker does not take the node's next message of this kind."""

    def refuses(room: str, data: bytes) -> bool:
        refused = isinstance(read_control(data) if room == "#nodes" else read(data), kind)
        if refused:
            node.link.refuses = lambda room, data: False
        return refused

    node.link.refuses = refuses


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
