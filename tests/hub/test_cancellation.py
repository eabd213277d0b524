"""A task may be cancelled wherever it waits. Whatever it was doing, nothing of it stays behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from typing import Any

from guests import guest, route
from polling import eventually, turns
from starlette.websockets import WebSocket

from hubbub import BEGINNING, History, Hub, Limits, Position, Publication
from hubbub.brokers import HistoryPage, MemoryBroker
from hubbub.core.messages import Payload
from hubbub.testing import connect

MISSED = 600
"""Publications: more than one page of the history, and more than is written at once."""


class CancelledAt:
    """Awaits something, and cancels its own task at one of the waits in it.

    Args:
        work: what is awaited.
        wait: which wait, from 1.
    """

    def __init__(self, work: Coroutine[Any, Any, Any], wait: int) -> None:
        self._work = work
        self._wait = wait
        self.reached = False

    def __await__(self) -> Generator[Any, Any, Any]:
        waits, step = 0, lambda: self._work.send(None)
        while True:
            try:
                waiting = step()
            except StopIteration as end:
                return end.value
            waits += 1
            if waits == self._wait:
                self.reached = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                answer = yield waiting
            except BaseException as error:  # noqa: BLE001 - passed on
                step = lambda error=error: self._work.throw(error)  # type: ignore[misc] # noqa: E731
            else:
                step = lambda answer=answer: self._work.send(answer)  # type: ignore[misc] # noqa: E731


class DistantBroker(MemoryBroker):
    """Each operation takes two turns before it is done, and two after that. Counts what is subscribed to."""

    def __init__(self) -> None:
        super().__init__()
        self.subscribed: set[str] = set()

    @property
    def immediate(self) -> bool:
        """It takes turns."""
        return False

    async def start(self, receiver: Any) -> None:
        """Later."""
        await turns(2)
        await super().start(receiver)
        await turns(2)

    async def stop(self) -> None:
        """At once, and later."""
        await super().stop()
        await turns(2)

    async def subscribe(self, room: str, history: History | None = None) -> Position | None:
        """Later."""
        await turns(2)
        self.subscribed.add(room)
        position = await super().subscribe(room, history)
        await turns(2)
        return position

    def unsubscribe(self, room: str) -> None:
        """At once."""
        self.subscribed.discard(room)

    async def publish(
        self,
        room: str,
        payload: Payload,
        *,
        history: History | None = None,
        publisher: str | None = None,
        key: str | None = None,
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Publication:
        """Later."""
        await turns(2)
        made = await super().publish(
            room,
            payload,
            history=history,
            publisher=publisher,
            key=key,
            tags=tags,
            idempotency_key=idempotency_key,
        )
        await turns(2)
        return made

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        """Later."""
        await turns(2)
        page = await super().history(room, history, since=since, limit=limit, reverse=reverse)
        await turns(2)
        return page


async def at_every_wait(work: Callable[[], Coroutine[Any, Any, Any]]) -> AsyncIterator[int]:
    """Do the work again and again, cancelled at its first wait, at its second and so on until it ends."""
    for wait in range(1, 200):
        cancelled = CancelledAt(work(), wait)

        async def one(cancelled: CancelledAt = cancelled) -> None:
            await cancelled

        task = asyncio.create_task(one())
        await asyncio.wait((task,), timeout=5)
        assert task.done(), f"cancelled at wait {wait}, it never ends"
        if not cancelled.reached:
            task.result()
            return
        yield wait
        if not task.cancelled():
            task.result()
    raise AssertionError("it does not come to an end")


def distant_hub() -> tuple[Hub, DistantBroker]:
    broker = DistantBroker()
    hub = Hub(broker, limits=Limits(close_timeout=0.05, outbox_bytes=60_000))
    hub.room("r", history=History(size=MISSED), presence=True)
    return hub, broker


async def test_a_join_with_much_to_catch_up_on() -> None:
    hub, broker = distant_hub()
    async with hub, guest(hub) as ada:
        for _ in range(MISSED):
            await hub.broadcast_to_room("r", "x" * 100)
        waits = 0
        async for waits in at_every_wait(lambda: hub.join("r", ada.me, since=Position("", 0))):
            await ada.received()
            assert (ada.me.rooms, broker.subscribed) == ([], {"*"}), waits
        assert waits > 10
        assert ada.me.rooms == ["r"]


async def test_a_listener_from_the_beginning_to_what_is_new() -> None:
    hub, broker = distant_hub()

    async def listen() -> None:
        async with hub.listen("r", since=BEGINNING) as publications:
            for _ in range(MISSED // 2):
                await anext(publications)
            await hub.broadcast_to_room("r", "new")

    async with hub:
        for _ in range(MISSED // 2):
            await hub.broadcast_to_room("r", "old")
        waits = 0
        async for waits in at_every_wait(listen):
            assert broker.subscribed == {"*"}, waits
        assert waits > 10


async def test_a_visit_from_handshake_to_close() -> None:
    hub, broker = distant_hub()

    async def visit(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me, me.join("r"):
            await hub.broadcast_to_room("r", "hello")
            await me.send(await me.receive())

    async with hub:
        for wait in range(1, 50):
            reached: list[bool] = []

            async def cancelled(
                websocket: WebSocket, wait: int = wait, reached: list[bool] = reached
            ) -> None:
                visiting = CancelledAt(visit(websocket), wait)
                try:
                    await visiting
                finally:
                    reached.append(visiting.reached)

            app = route(cancelled)
            task = asyncio.create_task(_talk(app))
            await asyncio.wait((task,), timeout=5)
            assert task.done(), wait
            await eventually(lambda: hub.connection_count == 0)
            assert (hub.rooms, broker.subscribed) == ([], {"*"}), wait
            assert await hub.presence("r") == [], wait
            if reached == [False]:
                assert wait > 5
                break
        else:
            raise AssertionError("it does not come to an end")


async def test_the_life_of_a_hub() -> None:
    hub, broker = distant_hub()
    _ = hub.gateway

    async def live() -> None:
        async with hub, guest(hub, rooms=("r",)):
            await hub.broadcast_to_room("r", "hello")

    before = asyncio.all_tasks()
    waits = 0
    async for waits in at_every_wait(live):
        assert (hub.running, hub.ready, broker.connected) == (False, False, False), waits
        assert (hub.connection_count, hub.rooms) == (0, []), waits
        await eventually(lambda: asyncio.all_tasks() == before)
    assert waits > 15
    async with hub:
        assert hub.ready


async def test_a_hub_that_ends_while_somebody_begins_to_listen_and_to_join() -> None:
    for later in range(12):
        hub, broker = distant_hub()
        async with hub, guest(hub) as ada:

            async def listen(hub: Hub = hub) -> None:
                async with hub.listen("r") as publications:
                    async for _ in publications:
                        raise AssertionError("nobody publishes")

            listening = asyncio.create_task(listen())
            joining = asyncio.create_task(hub.join("r", ada.me))
            await turns(later)
            await hub.__aexit__(None, None, None)
            done, _ = await asyncio.wait((listening, joining), timeout=5)
            assert done == {listening, joining}, later
            assert (hub.running, hub.rooms, broker.connected) == (False, [], False), later
            await asyncio.gather(listening, joining, return_exceptions=True)
            await hub.__aenter__()


async def _talk(app: Any) -> None:
    async with connect(app, raise_app_exceptions=False) as client:
        await client.send("hello")
        await eventually(lambda: client.closed is not None)
