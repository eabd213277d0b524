"""Publications on servers that have only `send`: past the outboxes, and in order with everything else."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from polling import eventually, turns
from wires import Wire, items

from hubbub.asgi.event_writer import EventWriter
from hubbub.asgi.events import EVENT_CODEC, Event
from hubbub.asgi.pump import Pump

CLOSE: Event = {"type": "websocket.close", "code": 1000, "reason": ""}
BEHAVIOURS = ["at once", "after a turn", "a future"]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
async def test_what_is_delivered_reaches_every_writer_in_the_order_of_the_calls(behaviour: str) -> None:
    pump = Pump()
    wires = [Wire(behaviour) for _ in range(3)]
    line = [wire.writer(pump) for wire in wires]
    EVENT_CODEC.deliver(line, items("1", "2"))
    EVENT_CODEC.deliver(line[1:], items("3"))
    EVENT_CODEC.deliver(line, items("4"))
    await eventually(lambda: [len(wire.sent) for wire in wires] == [3, 4, 4])
    await turns()
    assert [wire.sent for wire in wires] == [["1", "2", "4"], ["1", "2", "3", "4"], ["1", "2", "3", "4"]]


async def test_nothing_waits_in_an_outbox_where_the_server_takes_it_at_once() -> None:
    wire = Wire()
    writer = wire.writer()
    EVENT_CODEC.deliver([writer], items("1", "2"))
    await turns()
    assert (wire.sent, writer.queued_most, writer.busy_since) == (["1", "2"], 0, None)


async def write(writer: EventWriter) -> None:
    writer.write(items("2"))


async def send(writer: EventWriter) -> None:
    await writer.send(items("2")[0])


async def close(writer: EventWriter) -> None:
    writer.close(CLOSE, discard=False)


async def drain(writer: EventWriter) -> None:
    await writer.drained(5)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize(
    ("act", "seen"), [(write, ["1", "2"]), (send, ["1", "2"]), (close, ["1", 1000]), (drain, ["1"])]
)
async def test_what_a_writer_does_after_a_delivery_comes_after_it(
    behaviour: str, act: Callable[[EventWriter], Awaitable[None]], seen: list[object]
) -> None:
    wire = Wire(behaviour)
    writer = wire.writer()
    EVENT_CODEC.deliver([writer], items("1"))
    await act(writer)
    await writer.drained(5)
    assert wire.sent == seen


async def test_a_writer_that_acts_in_the_middle_of_a_delivery_disturbs_nobody() -> None:
    pump = Pump()
    wires = [Wire() for _ in range(4)]
    line = [wire.writer(pump) for wire in wires]
    send_first = wires[0].send

    async def meddle(event: Event) -> None:
        await send_first(event)
        line[2].write(items("between"))
        line[3].close(CLOSE, discard=False)

    line[0]._send = meddle
    EVENT_CODEC.deliver(line, items("1"))
    EVENT_CODEC.deliver(line, items("2"))
    await eventually(lambda: all(len(wire.sent) >= 2 for wire in wires))
    await turns()
    first, second, third, fourth = (wire.sent for wire in wires)
    assert (first, second) == (["1", "2"], ["1", "2"])
    assert third == ["1", "2", "between", "between"]
    assert fourth == ["1", "2", 1000]


async def test_one_that_is_stuck_and_one_that_fails_keep_no_other_waiting() -> None:
    pump = Pump()
    stuck, broken, free = Wire("when let"), Wire("fails"), Wire()
    line = [wire.writer(pump) for wire in (stuck, broken, free)]
    for text in ("1", "2"):
        EVENT_CODEC.deliver(line, items(text))
        await turns()
    assert (stuck.sent, free.sent) == ([], ["1", "2"])
    assert broken.ear.told == [(1006, "ConnectionResetError")]
    assert line[0].busy_since is not None
    stuck.open.set()
    await eventually(lambda: stuck.sent == ["1", "2"])


async def test_the_rest_of_a_delivery_waits_behind_a_send_that_waits() -> None:
    wire = Wire("when let")
    writer = wire.writer()
    EVENT_CODEC.deliver([writer], items("1", "2", "3"))
    await turns()
    assert writer.buffered == 2
    wire.open.set()
    await writer.drained(5)
    assert wire.sent == ["1", "2", "3"]


async def test_what_is_delivered_to_one_that_has_closed_is_dropped() -> None:
    wire = Wire()
    writer = wire.writer()
    writer.close(CLOSE, discard=False)
    EVENT_CODEC.deliver([writer], items("too late"))
    await asyncio.sleep(0)
    await turns()
    assert wire.sent == [1000]
