"""The hub with real connections under a state machine.

Whatever happens in whatever order: nothing is lost, doubled, out of order, or left behind.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from guests import Guest, guest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from polling import turns

from hubbub import Hub, Limits
from hubbub.core.errors import LimitReached

ROOMS = ("r", "s", "t")
KINDS = ("publish", "all", "join", "leave")
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(ROOMS), st.integers(0, 5)), max_size=6)
SETTLE = 12
"""Turns of the loop after which nothing more happens by itself."""


class Model:
    """What a client should see, and what it has seen."""

    def __init__(self, stack: AsyncExitStack, one: Guest) -> None:
        self.stack = stack
        self.client = one.client
        self.me = one.me
        self.rooms: dict[str, None] = {}
        self.expected: dict[str, list[str]] = {room: [] for room in (*ROOMS, "everyone")}
        self.seen: dict[str, list[str]] = {room: [] for room in (*ROOMS, "everyone")}
        self.whole = True  # False once the connection was lost: then only a beginning has arrived

    async def look(self) -> None:
        """Take what has arrived."""
        while self.client._to_client:
            room, _, number = str(await self.client.receive()).partition(" ")
            self.seen[room].append(number)


class HubMachine(RuleBasedStateMachine):
    """A loop of its own, in which every rule runs to the point where nothing moves any more."""

    guests: Bundle[Model] = Bundle("guests")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.hub = Hub(limits=Limits(close_timeout=0.05, rooms_per_connection=2))
        self.here: list[Model] = []
        self.gone: list[Model] = []
        self.published = 0
        self.run(lambda: self.hub.__aenter__())
        self.tasks = self.run(self.count_tasks)

    def run(self, action: Callable[[], Awaitable[Any]]) -> Any:
        async def act() -> Any:
            result = await action()
            await turns(SETTLE)
            return result

        return self.runner.run(act())

    async def count_tasks(self) -> int:
        return len(asyncio.all_tasks())

    @rule(target=guests)
    def connect(self) -> Model:
        async def connect() -> Model:
            stack = AsyncExitStack()
            return Model(stack, await stack.enter_async_context(guest(self.hub)))

        model: Model = self.run(connect)
        self.here.append(model)
        return model

    @rule(model=guests, room=st.sampled_from(ROOMS))
    def join(self, model: Model, room: str) -> None:
        may = room in model.rooms or len(model.rooms) < 2

        async def join() -> None:
            try:
                await self.hub.join(room, model.me)
            except LimitReached:
                assert not may
            else:
                assert may
                model.rooms[room] = None

        self.run(join)

    @rule(model=guests, room=st.sampled_from(ROOMS))
    def leave(self, model: Model, room: str) -> None:
        async def leave() -> None:
            self.hub.leave(room, model.me)

        self.run(leave)
        model.rooms.pop(room, None)

    @rule(steps=STEPS)
    def in_one_turn(self, steps: list[tuple[str, str, int]]) -> None:
        """Several things without a turn of the loop between them."""

        async def act() -> None:
            for kind, room, number in steps:
                model = self.here[number % len(self.here)] if self.here else None
                if kind in ("publish", "all"):
                    await self.publish(room if kind == "publish" else "everyone")
                elif model is None:
                    continue
                elif kind == "join" and len(model.rooms) < 2:
                    await self.hub.join(room, model.me)
                    model.rooms[room] = None
                elif kind == "leave":
                    self.hub.leave(room, model.me)
                    model.rooms.pop(room, None)

        self.run(act)

    async def publish(self, room: str) -> None:
        self.published += 1
        message = f"{room} {self.published}"
        if room == "everyone":
            await self.hub.broadcast(message)
        else:
            await self.hub.broadcast_to_room(room, message)
        for model in self.here:
            if room == "everyone" or room in model.rooms:
                model.expected[room].append(str(self.published))

    @rule(model=guests)
    def pause(self, model: Model) -> None:
        model.client.pause()

    @rule(model=guests)
    def resume(self, model: Model) -> None:
        async def resume() -> None:
            model.client.resume()

        self.run(resume)

    @rule(model=consumes(guests), how=st.sampled_from(["close", "drop", "by the hub", "disconnect"]))
    def part(self, model: Model, how: str) -> None:
        async def part() -> None:
            await model.look()
            model.whole = not model.client._paused  # what waits for a client that does not read is given up
            if how == "close":
                await model.client.close()
            elif how == "drop":
                model.client.drop()
            elif how == "by the hub":
                await model.me.close()
            else:
                self.hub.disconnect(model.me)
            await model.stack.aclose()
            await model.look()

        self.run(part)
        self.here.remove(model)
        self.gone.append(model)

    @invariant()
    def the_hub_knows_exactly_those_who_are_here(self) -> None:
        assert set(self.hub.connections) == {model.me for model in self.here}
        for room in ROOMS:
            assert set(self.hub.members(room)) == {model.me for model in self.here if room in model.rooms}
        assert set(self.hub.rooms) == {room for model in self.here for room in model.rooms}
        for model in self.here:
            assert model.me.rooms == list(model.rooms)

    @invariant()
    def everybody_has_seen_what_was_published_while_they_were_members(self) -> None:
        for model in self.here:
            self.run(model.look)
            for room, expected in model.expected.items():
                seen = model.seen[room]
                assert seen == (expected[: len(seen)] if model.client._paused else expected), room
        for model in self.gone:
            for room, expected in model.expected.items():
                seen = model.seen[room]
                assert seen == (expected if model.whole else expected[: len(seen)]), room

    def teardown(self) -> None:
        async def end() -> None:
            for model in self.here:
                await model.stack.aclose()
            await turns(SETTLE)
            assert (self.hub.connection_count, self.hub.rooms) == (0, [])
            assert len(list(self.hub._rooms)) == 0
            assert len(asyncio.all_tasks()) == self.tasks
            await self.hub.__aexit__(None, None, None)

        try:
            self.run(end)
        finally:
            self.runner.close()
        super().teardown()


HubMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestHub = HubMachine.TestCase
