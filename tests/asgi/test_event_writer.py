"""Writing through a server's `send`, however that behaves."""

import asyncio

import pytest
from polling import eventually, turns
from wires import Wire, items

from hubbub import Disconnected
from hubbub.asgi.event_writer import HIGH_WATER
from hubbub.asgi.events import Event
from hubbub.asgi.pump import Pump

CLOSE: Event = {"type": "websocket.close", "code": 1000, "reason": ""}


@pytest.mark.parametrize("behaviour", ["at once", "after a turn", "a future"])
async def test_writes_sends_and_the_close_keep_their_order(behaviour: str) -> None:
    wire = Wire(behaviour)
    writer = wire.writer()
    writer.write(items("1", "2"))
    await writer.send(items("3")[0])
    writer.write(items("4"))
    await writer.send(items("5")[0])
    writer.close(CLOSE, discard=False)
    writer.write(items("too late"))
    await writer.drained(5)
    assert wire.sent == ["1", "2", "3", "4", "5", 1000]
    with pytest.raises(Disconnected):
        await writer.send(items("too late")[0])


@pytest.mark.parametrize("behaviour", ["at once", "after a turn", "a future"])
async def test_many_senders_at_once_lose_nothing(behaviour: str) -> None:
    wire = Wire(behaviour)
    writer = wire.writer()
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(writer.send(items(str(number))[0]))
            writer.write(items(f"w{number}"))
    await writer.drained(5)
    assert sorted(map(str, wire.sent)) == sorted([*map(str, range(50)), *(f"w{n}" for n in range(50))])
    assert [one for one in wire.sent if str(one)[0] == "w"] == [f"w{number}" for number in range(50)]


async def test_one_client_that_is_stuck_keeps_no_other_waiting() -> None:
    pump = Pump()
    stuck, free = Wire("when let"), Wire()
    for writer in (stuck.writer(pump), free.writer(pump)):
        writer.write(items("a", "b"))
    await turns()
    assert (stuck.sent, free.sent) == ([], ["a", "b"])
    stuck.open.set()
    await eventually(lambda: stuck.sent == ["a", "b"])


async def test_a_send_waits_at_the_high_water_mark() -> None:
    wire = Wire("when let")
    writer = wire.writer()
    writer.write(items("first"))
    await turns()
    assert writer.busy_since is not None
    await writer.send(items("small")[0])
    waiting = asyncio.create_task(writer.send(items("x" * HIGH_WATER)[0]))
    await turns()
    assert not waiting.done()
    wire.open.set()
    await waiting
    await writer.drained(5)
    assert (len(wire.sent), writer.buffered, writer.busy_since) == (3, 0, None)


async def test_a_full_outbox_is_reported_and_a_close_takes_its_place() -> None:
    wire = Wire("when let")
    writer = wire.writer(limit=10)
    writer.write(items("with the server"))
    await turns()
    writer.write(items("12345", "67890"))
    assert wire.ear.told == []
    writer.write(items("x"))
    assert wire.ear.told == ["slow"]
    writer.close(CLOSE, discard=True)
    writer.end(Disconnected(1013))
    wire.open.set()
    await writer.drained(5)
    assert wire.sent == ["with the server", 1000]


@pytest.mark.parametrize("how", ["write", "send"])
async def test_a_send_that_fails_means_that_the_client_is_lost(how: str) -> None:
    wire = Wire("fails")
    writer = wire.writer()
    if how == "write":
        writer.write(items("a", "b"))
        await turns()
    else:
        with pytest.raises(Disconnected):
            await writer.send(items("a")[0])
    assert wire.ear.told == [(1006, "ConnectionResetError")]
    assert (writer.buffered, writer.busy_since) == (0, None)


async def test_an_interrupted_send_lets_the_close_follow() -> None:
    wire = Wire("when let")
    writer = wire.writer()
    sending = asyncio.create_task(writer.send(items("a")[0]))
    await turns()
    writer.close(CLOSE, discard=False)
    writer.end(Disconnected(1000))
    wire.waits.interrupt()
    draining = asyncio.create_task(writer.drained(5))
    await turns()
    wire.open.set()
    await draining
    with pytest.raises(Disconnected):
        await sending
    assert wire.sent == [1000]


async def test_draining_ends_at_its_deadline_and_an_abort_leaves_nothing() -> None:
    before = len(asyncio.all_tasks())
    wire = Wire("when let")
    writer = wire.writer()
    writer.write(items("a"))
    writer.close(CLOSE, discard=False)
    await writer.drained(0.02)
    assert wire.sent == []
    writer.abort()
    await eventually(lambda: len(asyncio.all_tasks()) == before)
    assert (writer.buffered, writer.busy_since) == (0, None)


async def test_an_abort_right_after_the_begin_of_a_send_leaves_nothing_either() -> None:
    before = len(asyncio.all_tasks())
    wire = Wire("when let")
    writer = wire.writer()
    writer.write(items("a"))
    await turns(1)  # the server has the event; the task that waits for it has not run yet
    assert writer.busy_since is not None
    writer.abort()
    await eventually(lambda: len(asyncio.all_tasks()) == before)
    assert writer.busy_since is None
