"""Presence on three nodes under a state machine: whatever fails, in the end all know the same, the truth."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from node_cluster import Cluster, ClusterNode

from hubbub.core.errors import BrokerError

ROOMS = ("r", "s")
USERS = ("ada", "bob", None)
NODES = st.integers(0, 2)
CALM = 70.0
"""Seconds after the last failure in which everything is repaired."""


class PresenceMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.cluster: Cluster = self.run(self.make_cluster)
        self.clients = 0
        self.queries: list[asyncio.Task[None]] = []

    def run(self, action: Callable[[], Awaitable[Any]]) -> Any:
        async def act() -> Any:
            return await action()

        return self.runner.run(act())

    async def make_cluster(self) -> Cluster:
        cluster = Cluster()
        for _ in range(3):
            await cluster.start()
        return cluster

    def soon(self, action: Callable[[], Any]) -> None:
        """Do it in the loop, and let a few turns go by."""

        async def act() -> None:
            action()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        self.run(act)

    @rule(number=NODES, room=st.sampled_from(ROOMS), user=st.sampled_from(USERS))
    def join(self, number: int, room: str, user: str | None) -> None:
        self.clients += 1
        self.soon(lambda: self.cluster.nodes[number].join(room, f"c{self.clients}", user))

    @rule(number=NODES, room=st.sampled_from(ROOMS), which=st.integers(0, 9), again=st.booleans())
    def leave(self, number: int, room: str, which: int, again: bool) -> None:
        node = self.cluster.nodes[number]
        here = list(node.truth[room])
        if here:
            client = here[which % len(here)]

            def leave() -> None:
                node.leave(room, client)
                if again:
                    node.join(room, client, "cleo")

            self.soon(leave)

    @rule(number=NODES, room=st.sampled_from(ROOMS))
    def ask(self, number: int, room: str) -> None:
        async def query(node: ClusterNode) -> None:
            with suppress(BrokerError):
                await node.members(room)

        def ask() -> None:
            self.queries.append(asyncio.ensure_future(query(self.cluster.nodes[number])))

        self.soon(ask)

    @rule(seconds=st.sampled_from([0.3, 1.0, 3.0, 7.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.run(lambda: self.cluster.advance(seconds))

    @rule(number=NODES, how=st.sampled_from(["refuse", "take", "late", None]))
    def fail(self, number: int, how: str | None) -> None:
        self.cluster.nodes[number].link.failing = how

    @rule()
    def deliver_late(self) -> None:
        self.soon(self.cluster.deliver_late)

    @rule(number=NODES, room=st.sampled_from(["#nodes", "#p:r", "#p:s"]), messages=st.integers(1, 4))
    def drop(self, number: int, room: str, messages: int) -> None:
        self.cluster.nodes[number].link.dropping[room] = messages

    @rule(number=NODES)
    def cut(self, number: int) -> None:
        link = self.cluster.nodes[number].link
        link.up, link.failing = False, "refuse"

    @rule(number=NODES)
    def freeze(self, number: int) -> None:
        self.cluster.freeze(self.cluster.nodes[number])

    @rule(number=NODES)
    def mend(self, number: int) -> None:
        self.soon(lambda: self.repair(self.cluster.nodes[number]))

    @precondition(lambda self: len(self.cluster.nodes) == 3)
    @rule(number=NODES, how=st.sampled_from(["stop", "kill"]))
    def replace(self, number: int, how: str) -> None:
        """A node ends, and another one starts."""
        node = self.cluster.nodes[number]

        async def replace() -> None:
            self.cluster.thaw(node)
            await (self.cluster.kill(node) if how == "kill" else self.cluster.stop(node))
            await self.cluster.start()

        self.run(replace)

    def repair(self, node: ClusterNode) -> None:
        link = node.link
        link.failing, link.up = None, True
        link.dropping.clear()
        for room in list(link.missing):
            link.report(room)
        self.cluster.thaw(node)

    @invariant()
    def nobody_comes_or_goes_twice(self) -> None:
        assert [node.wrong for node in self.cluster.nodes] == [[], [], []]

    def teardown(self) -> None:
        try:
            self.run(self.end)
        finally:
            self.runner.close()
        super().teardown()

    async def end(self) -> None:
        for node in self.cluster.nodes:
            self.repair(node)
        self.cluster.deliver_late()
        await self.cluster.advance(CALM)
        ids = {node.id for node in self.cluster.nodes}
        for node in self.cluster.nodes:
            assert {node.id, *node.nodes.others} == ids
            assert {room for room in ROOMS if node.truth[room]} <= set(node.seen)
            for room, seen in node.seen.items():
                assert seen == self.cluster.truth(room), (room, node.events)
            for room in ROOMS:
                task = asyncio.ensure_future(node.members(room))
                await self.cluster.advance(0.5)
                assert task.result() == self.cluster.truth(room), room
        self.nobody_comes_or_goes_twice()
        await self.everybody_leaves()

    async def everybody_leaves(self) -> None:
        for node in self.cluster.nodes:
            for room, clients in node.truth.items():
                for client in list(clients):
                    node.leave(room, client)
        await self.cluster.advance(130.0)
        for node in self.cluster.nodes:
            assert list(node.link.listeners) == ["#nodes"]
            assert not any(node.seen.values())
        for node in list(self.cluster.nodes):
            await self.cluster.stop(node)
        assert all(query.done() for query in self.queries)
        assert asyncio.all_tasks() == {asyncio.current_task()}


PresenceMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestPresence = PresenceMachine.TestCase
