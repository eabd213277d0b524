"""What a handler of an event leaves to be done: nobody waits for it, and the end of the hub gives it time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from polling import eventually, turns

from hubbub import Allow, Hub
from hubbub.testing import Client, connect, running

URL = "/connection/websocket"


class Stage:
    """An app with a hub, what its handlers did, and a client that is in a room."""

    def __init__(self) -> None:
        self.hub = Hub(anonymous=True)
        self.app = FastAPI(lifespan=self.hub.lifespan)
        self.app.include_router(self.hub.router)
        self.go_on = asyncio.Event()
        self.done: list[str] = []
        self.room = self.hub.room("r", allow_subscribe=Allow.ANYONE)

    async def work(self, what: str) -> None:
        """Takes a while."""
        await self.go_on.wait()
        self.done.append(what)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def ask(client: Client, **command: Any) -> Any:
    """The answer to a command."""
    await client.send({"id": 2, **command})
    while "id" not in (reply := await client.receive_json()):
        pass
    return reply


async def test_nobody_waits_for_background_tasks(stage: Stage) -> None:
    @stage.room.on_message
    async def said(tasks: BackgroundTasks) -> None:
        tasks.add_task(stage.work, "mail")

    async with running(stage.app) as state, connect(stage.app, URL, state=state) as ada:
        await ask(ada, connect={})
        await ask(ada, subscribe={"channel": "r"})
        assert await ask(ada, publish={"channel": "r", "data": 1}) == {"id": 2, "publish": {}}
        assert stage.done == []
        stage.go_on.set()
        await eventually(lambda: stage.done == ["mail"])


async def test_dependencies_end_after_background_tasks_and_a_failure_is_logged(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def database() -> AsyncIterator[None]:
        yield
        stage.done.append("closed")

    async def fail() -> None:
        await stage.work("begun")
        raise ZeroDivisionError

    @stage.hub.rpc("fail")
    async def call(tasks: BackgroundTasks, _: Annotated[None, Depends(database)]) -> int:
        tasks.add_task(fail)
        return 1

    async with running(stage.app) as state, connect(stage.app, URL, state=state) as ada:
        await ask(ada, connect={})
        assert await ask(ada, rpc={"method": "fail"}) == {"id": 2, "rpc": {"data": 1}}
        stage.go_on.set()
        await eventually(lambda: stage.done[:1] == ["begun"])
        await eventually(lambda: caplog.records)
    assert caplog.records[0].exc_info is not None
    assert isinstance(caplog.records[0].exc_info[1], ZeroDivisionError)


async def test_the_end_of_the_hub_waits_for_them_and_for_those_who_are_told_of_leaving(stage: Stage) -> None:
    @stage.room.on_leave
    async def left() -> None:
        await stage.work("left")
        await stage.hub.broadcast_to_room("r", "still running")

    @stage.hub.rpc("later")
    async def later(tasks: BackgroundTasks) -> None:
        tasks.add_task(stage.work, "mail")

    async with AsyncExitStack() as hub_life, AsyncExitStack() as client_life:
        state = await hub_life.enter_async_context(running(stage.app))
        ada = await client_life.enter_async_context(connect(stage.app, URL, state=state))
        await ask(ada, connect={})
        await ask(ada, subscribe={"channel": "r"})
        await ask(ada, rpc={"method": "later"})
        ending = asyncio.create_task(hub_life.aclose())
        await ada.wait_closed()
        await turns()
        assert (ending.done(), stage.done) == (False, [])
        stage.go_on.set()
        await ending
        assert sorted(stage.done) == ["left", "mail"]


async def test_what_does_not_end_is_given_up(stage: Stage) -> None:
    @stage.hub.rpc("later")
    async def later(tasks: BackgroundTasks) -> None:
        tasks.add_task(stage.work, "mail")

    async with running(stage.app) as state, connect(stage.app, URL, state=state) as ada:
        await ask(ada, connect={})
        await ask(ada, rpc={"method": "later"})
        before = asyncio.all_tasks()
    stage.go_on.set()
    await turns()
    assert stage.done == []
    assert not [task for task in before if not task.done() and task is not asyncio.current_task()]
