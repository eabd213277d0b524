"""Nodes know of each other, and are not lost but when they are gone."""

import pytest
from node_cluster import TURNS, ClusterNode, cluster_of, failing
from polling import turns

from hubbub.core.errors import BrokerError, MessageTooBig
from hubbub.core.nodes import Alive, Goodbye, read
from hubbub.hub.nodes import CONTROL_ROOM


class Watcher:
    """What a node tells its observers, in order."""

    def __init__(self, node: ClusterNode) -> None:
        self.heard: list[tuple[str, str]] = []
        node.nodes.watch(self)

    def node_came(self, node: str) -> None:
        self.heard.append(("came", node))

    def node_left(self, node: str) -> None:
        self.heard.append(("left", node))

    def commands_lost(self) -> None:
        self.heard.append(("lost", ""))


def messages(node: ClusterNode, kind: type) -> list[object]:
    read_messages = [read(data) for room, data in node.link.sent if room == CONTROL_ROOM]
    return [message for message in read_messages if isinstance(message, kind)]


async def test_nodes_know_each_other_without_waiting_for_the_next_announcement() -> None:
    _, nodes = await cluster_of(3)
    ids = {node.id for node in nodes}
    assert len(ids) == 3
    for node in nodes:
        assert {node.id, *node.nodes.others} == ids
        assert node.nodes.nodes()[0].id == node.id
        assert {one.id for one in node.nodes.nodes()} == ids


async def test_a_node_announces_itself_every_two_seconds_with_its_figures() -> None:
    cluster, (a, b) = await cluster_of(2)
    before = len(messages(b, Alive))
    b.join("r", "c1")
    b.join("r", "c2")
    await cluster.advance(20.0)
    assert len(messages(b, Alive)) - before == 10
    (_, shown) = a.nodes.nodes()
    assert (shown.id, shown.name, shown.connections, shown.rooms) == (b.id, "test", 2, 1)
    assert a.nodes.others == [b.id]


async def test_a_killed_node_is_lost_within_eight_seconds_once() -> None:
    cluster, (a, b, c) = await cluster_of(3)
    watcher = Watcher(a)
    await cluster.advance(5.3)
    await cluster.kill(b)
    await cluster.advance(3.9)  # announced two seconds before at the earliest
    assert watcher.heard == []
    await cluster.advance(4.1)
    assert watcher.heard == [("left", b.id)]
    assert a.nodes.others == [c.id]
    await cluster.advance(60.0)
    assert watcher.heard == [("left", b.id)]


async def test_a_node_that_stops_is_gone_at_once_and_for_good() -> None:
    cluster, (a, b) = await cluster_of(2)
    watcher = Watcher(a)
    late = messages(b, Alive)[-1]
    await cluster.stop(b)
    assert watcher.heard == [("left", b.id)]
    assert isinstance(late, Alive)
    assert not a.nodes.seen(b.id)
    await cluster.advance(20.0)
    assert watcher.heard == [("left", b.id)]


async def test_nobody_is_lost_while_the_link_is_down_nor_just_after() -> None:
    cluster, (a, b) = await cluster_of(2)
    watcher = Watcher(a)
    a.link.up, a.link.failing = False, "refuse"
    await cluster.advance(60.0)
    assert (a.nodes.others, a.nodes.connected) == ([b.id], False)
    assert b.nodes.others == []  # it has heard nothing of the one that was cut off
    a.link.up, a.link.failing = True, None
    b.link.failing = "refuse"  # its link is back five seconds later
    await cluster.advance(5.0)
    b.link.failing = None
    await cluster.advance(20.0)
    assert [what for what, _ in watcher.heard] == ["lost"]
    assert b.nodes.others == [a.id]


async def test_nobody_is_lost_from_the_moment_the_link_is_down() -> None:
    cluster, (a, b) = await cluster_of(2)
    watcher = Watcher(a)
    cluster.freeze(b)
    await cluster.advance(5.0)  # one second before the end of its lease
    a.link.up, a.link.failing = False, "refuse"
    await cluster.advance(2.0)
    assert watcher.heard == []
    cluster.thaw(b)
    a.link.up, a.link.failing = True, None
    await cluster.advance(4.0)
    assert ("left", b.id) not in watcher.heard


async def test_nobody_is_lost_if_the_broker_stands_still_without_saying_so() -> None:
    cluster, (a, b) = await cluster_of(2)
    watchers = [Watcher(a), Watcher(b)]
    spread, cluster.spread = cluster.spread, lambda room, data: None
    await cluster.advance(30.0)
    cluster.spread = spread
    await cluster.advance(30.0)
    assert [watcher.heard for watcher in watchers] == [[], []]


async def test_a_process_that_stood_still_is_lost_to_the_others_and_comes_back_but_loses_nobody() -> None:
    cluster, (a, b) = await cluster_of(2)
    at_a, at_b = Watcher(a), Watcher(b)
    cluster.freeze(b)
    await cluster.advance(20.0)
    assert at_a.heard == [("left", b.id)]
    cluster.thaw(b)
    await cluster.advance(20.0)
    assert at_a.heard == [("left", b.id), ("came", b.id)]
    assert at_b.heard == []


async def test_a_node_that_is_heard_elsewhere_first_has_come() -> None:
    _, (a,) = await cluster_of(1)
    watcher = Watcher(a)
    assert a.nodes.seen("unheard of")
    assert a.nodes.seen("unheard of")
    assert watcher.heard == [("came", "unheard of")]
    assert a.nodes.seen(a.id)


async def test_a_node_starts_while_the_broker_is_away() -> None:
    cluster, (a,) = await cluster_of(1)
    b = ClusterNode(cluster)
    cluster.nodes.append(b)
    with failing(b):
        await b.nodes.start()
        await cluster.advance(9.0)
        assert b.nodes.others == []
    await cluster.advance(3.0)
    assert (a.nodes.others, b.nodes.others) == ([b.id], [a.id])


async def test_a_node_stops_while_the_broker_is_away() -> None:
    cluster, (a, b) = await cluster_of(2)
    with failing(b):
        await cluster.stop(b)
    assert messages(b, Goodbye) == [Goodbye(b.id)]
    assert b.link.listeners == {}
    await b.nodes.stop()
    await cluster.advance(8.0)
    assert a.nodes.others == []


async def test_a_command_reaches_all_who_handle_its_kind_the_sender_too() -> None:
    _, (a, b, c) = await cluster_of(3)
    heard: list[tuple[str, str, bytes]] = []
    a.nodes.handle("greet", lambda node, payload: heard.append(("a", node, payload)))
    b.nodes.handle("greet", lambda node, payload: heard.append(("b", node, payload)))
    c.nodes.handle("other", lambda node, payload: heard.append(("c", node, payload)))
    await a.nodes.command("greet", b"hello")
    await turns(TURNS)
    assert sorted(heard) == [("a", a.id, b"hello"), ("b", a.id, b"hello")]
    heard.clear()
    await a.nodes.command("greet", b"you", to=b.id)
    await turns(TURNS)
    assert heard == [("b", a.id, b"you")]


async def test_commands_are_handled_in_one_order_on_all_nodes() -> None:
    _, nodes = await cluster_of(3)
    heard: list[list[bytes]] = [[], [], []]
    for node, log in zip(nodes, heard, strict=True):
        node.nodes.handle("k", lambda _, payload, log=log: log.append(payload))
    for number in range(12):
        await nodes[number % 3].nodes.command("k", b"%d" % number)
    await turns(40)
    assert heard[0] == heard[1] == heard[2] == [b"%d" % number for number in range(12)]


async def test_a_command_that_the_broker_does_not_take_raises() -> None:
    _, (a, b) = await cluster_of(2)
    heard: list[bytes] = []
    b.nodes.handle("k", lambda _, payload: heard.append(payload))
    with failing(a), pytest.raises(BrokerError):
        await a.nodes.command("k", b"")
    with pytest.raises(MessageTooBig):
        await a.nodes.command("k", bytes(1_048_577))
    await a.nodes.command("k", bytes(1_048_576))
    await turns(TURNS)
    assert [len(one) for one in heard] == [1_048_576]


async def test_a_handler_that_fails_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    cluster, (a, b) = await cluster_of(2)

    def fail(node: str, payload: bytes) -> None:
        raise ValueError("broken")

    b.nodes.handle("k", fail)
    await a.nodes.command("k", b"")
    await cluster.advance(20.0)
    assert [record.message for record in caplog.records] == ["the command k failed"]
    assert b.nodes.others == [a.id]


async def test_what_no_node_says_is_ignored() -> None:
    cluster, (a, b) = await cluster_of(2)
    for data in (b"\xff", b"\x01", b"\x01\xc1", b'{"node": "x"}'):
        cluster.spread(CONTROL_ROOM, data)
    await turns(TURNS)
    assert (a.nodes.others, b.nodes.others) == ([b.id], [a.id])


async def test_a_loss_in_the_control_room_is_told() -> None:
    _, (a,) = await cluster_of(1)
    watcher = Watcher(a)
    a.link.missing.add(CONTROL_ROOM)
    a.link.report(CONTROL_ROOM)
    await turns(TURNS)
    assert watcher.heard == [("lost", "")]
