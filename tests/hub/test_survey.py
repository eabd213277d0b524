"""Questions to all nodes are answered by all that live, whole or not at all, and never for ever."""

import asyncio

import pytest
from node_cluster import TURNS, Cluster, ClusterNode, cluster_of, failing
from polling import turns

from hubbub.core import signal_codec
from hubbub.core.errors import BrokerError, LimitReached
from hubbub.hub.survey import MAX_OPEN, MAX_PART_BYTES, MAX_PARTS, TIMEOUT, Survey, _Answer

Nodes = dict[str, Survey]


async def surveyed(count: int) -> tuple[Cluster, list[ClusterNode], list[Survey]]:
    """Nodes that answer the question "echo" with their id and the question."""
    cluster, nodes = await cluster_of(count)
    surveys: list[Survey] = []
    for node in nodes:
        survey = Survey(node.nodes, node.link, node.clock)  # type: ignore[arg-type]
        survey.answer("echo", lambda question, node=node: [node.id.encode(), question])  # type: ignore[misc]
        surveys.append(survey)
    return cluster, nodes, surveys


async def test_all_nodes_answer_and_only_the_one_that_asks_hears_it() -> None:
    _, nodes, (first, _, _) = await surveyed(3)
    answers = await first.ask("echo", b"?")
    assert answers == {node.id: [node.id.encode(), b"?"] for node in nodes}
    listening = [room for node in nodes for room in node.link.listeners if room.startswith("#answers:")]
    assert listening == [f"#answers:{nodes[0].id}"]


async def test_many_may_ask_at_the_same_time() -> None:
    _, nodes, surveys = await surveyed(2)
    asked = [survey.ask("echo", bytes([number])) for number in range(10) for survey in surveys]
    for number, answers in enumerate(await asyncio.gather(*asked)):
        assert answers == {node.id: [node.id.encode(), bytes([number // 2])] for node in nodes}


async def test_a_question_that_a_node_does_not_know_is_answered_with_nothing() -> None:
    _, nodes, surveys = await surveyed(2)
    surveys[0].answer("new", lambda _: [b"yes"])
    assert await surveys[0].ask("new") == {nodes[0].id: [b"yes"], nodes[1].id: []}


async def test_a_long_answer_comes_in_parts_and_a_longer_one_is_cut() -> None:
    _, nodes, surveys = await surveyed(2)
    item = bytes(MAX_PART_BYTES // 2)
    for count, kept in ((5, 5), (2 * MAX_PARTS, MAX_PARTS)):
        surveys[1].answer("long", lambda _, count=count: [item] * count)  # type: ignore[misc]
        answers = await surveys[0].ask("long")
        assert len(answers[nodes[1].id]) == kept


async def test_a_node_that_is_silent_is_left_out_in_time() -> None:
    cluster, nodes, surveys = await surveyed(3)
    cluster.freeze(nodes[2])
    asking = asyncio.create_task(surveys[0].ask("echo", b"?"))
    await cluster.advance(TIMEOUT - 0.1)
    assert not asking.done()
    await cluster.advance(0.2)
    assert set(asking.result()) == {nodes[0].id, nodes[1].id}
    cluster.thaw(nodes[2])  # what it says now is too late, and harms nobody
    await cluster.advance(0.5)
    assert set(await surveys[0].ask("echo")) == {node.id for node in nodes}


async def test_a_node_that_leaves_is_waited_for_no_longer() -> None:
    cluster, nodes, surveys = await surveyed(3)
    cluster.freeze(nodes[2])
    asking = asyncio.create_task(surveys[0].ask("echo"))
    await turns(TURNS)
    await cluster.kill(nodes[2])
    nodes[0].nodes._left(nodes[2].id)
    await turns(TURNS)
    assert set(asking.result()) == {nodes[0].id, nodes[1].id}


async def test_part_of_an_answer_is_no_answer() -> None:
    cluster, nodes, surveys = await surveyed(2)
    surveys[1].answer("long", lambda _: [bytes(MAX_PART_BYTES), b"the last part"])
    nodes[1].link.refuses = lambda room, data: b"the last part" in data
    asking = asyncio.create_task(surveys[0].ask("long"))
    await cluster.advance(TIMEOUT + 0.1)
    assert set(asking.result()) == {nodes[0].id}


async def test_what_was_not_asked_or_is_said_twice_counts_once_or_not() -> None:
    cluster, nodes, surveys = await surveyed(2)
    cluster.freeze(nodes[1])
    asking = asyncio.create_task(surveys[0].ask("echo"))
    await turns(TURNS)

    def says(node: str, part: int, last: bool, item: bytes) -> None:
        surveys[0]._heard(signal_codec.encode(_Answer(node, 1, part, last, [item])))

    says("stranger", 0, True, b"?")
    says(nodes[1].id, 0, False, b"first")
    says(nodes[1].id, 0, False, b"first")  # the broker may repeat what it was sent
    says(nodes[1].id, 1, True, b"last")
    says(nodes[1].id, 0, True, b"too late")
    assert await asking == {nodes[0].id: [nodes[0].id.encode(), b""], nodes[1].id: [b"first", b"last"]}


async def test_questions_are_bounded() -> None:
    cluster, nodes, surveys = await surveyed(2)
    cluster.freeze(nodes[1])
    asked = [asyncio.create_task(surveys[0].ask("echo")) for _ in range(MAX_OPEN)]
    await turns(10 * MAX_OPEN)
    with pytest.raises(LimitReached):
        await surveys[0].ask("echo")
    await cluster.advance(TIMEOUT + 0.1)
    assert all(set(one.result()) == {nodes[0].id} for one in asked)


async def test_a_broker_that_is_away_is_told_and_the_next_question_is_answered() -> None:
    _, nodes, surveys = await surveyed(2)
    with failing(nodes[0]), pytest.raises(BrokerError):
        await surveys[0].ask("echo")
    assert len(await surveys[0].ask("echo")) == 2
