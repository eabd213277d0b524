"""Subscribers that want only some publications get those, live and in recovery, beside others in the room."""

import asyncio
from typing import Any

import pytest
from centrifuge import Filter
from gateway_sdk import Server, guest, room
from gateway_wire import ENDPOINT, Wire, wire

EVEN = {"key": "parity", "cmp": "eq", "val": "even"}
LARGE = {"key": "n", "cmp": "gte", "val": "5"}


async def publish(server: Server, name: str, numbers: range) -> None:
    async with server.http() as http:
        for number in numbers:
            tags = {"parity": ("even", "odd")[number % 2], "n": str(number)}
            (await http.post(f"/publish/{name}", params=tags, content=str(number))).raise_for_status()


async def heard(one: Wire, count: int) -> list[Any]:
    """So many publications, and then none."""
    found = [(await one.push("pub")) for _ in range(count)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await one.next()
    return [publication["data"] for publication in found]


async def test_each_member_gets_what_its_filter_lets_through(server: Server) -> None:
    name = room("tagged")
    async with (
        wire(server.ws(ENDPOINT)) as everything,
        wire(server.ws(ENDPOINT)) as even,
        wire(server.ws(ENDPOINT)) as also_even,
        wire(server.ws(ENDPOINT)) as large,
        wire(server.ws(ENDPOINT)) as nothing,
        guest(server) as by_json,
        guest(server, protobuf=True) as by_protobuf,
    ):
        await everything.ask("subscribe", channel=name)
        await even.ask("subscribe", channel=name, tf=EVEN)
        await also_even.ask("subscribe", channel=name, tf=EVEN)
        await large.ask("subscribe", channel=name, tf={"op": "and", "nodes": [EVEN, LARGE]})
        await nothing.ask("subscribe", channel=name, tf={"key": "n", "cmp": "nex"})
        wanted = Filter.any(Filter.eq("n", "1"), Filter.gt("n", "7"))
        entered = [await one.enter(name, tags_filter=wanted) for one in (by_json, by_protobuf)]
        await publish(server, name, range(10))
        assert await heard(everything, 10) == list(range(10))
        assert await heard(even, 5) == await heard(also_even, 5) == [0, 2, 4, 6, 8]
        assert await heard(large, 2) == [6, 8]
        assert await heard(nothing, 0) == []
        for one, (_, events, _) in zip((by_json, by_protobuf), entered, strict=True):
            got = [(await events.next("publication")).pub for _ in range(3)]
            assert [publication.data for publication in got] == [one.data(text) for text in "189"]
            assert [publication.offset for publication in got] == [2, 9, 10]
            assert not events.waiting("publication")


async def test_what_is_recovered_is_filtered_and_nothing_comes_twice(server: Server) -> None:
    name = room("tagged")
    async with wire(server.ws(ENDPOINT)) as one:
        began = await one.ask("subscribe", channel=name, tf=EVEN)
        await one.ask("unsubscribe", channel=name)
        await publish(server, name, range(6))
        back = await one.ask("subscribe", channel=name, recover=True, epoch=began["epoch"], tf=EVEN)
        assert back["recovered"]
        assert [publication["data"] for publication in back["publications"]] == [0, 2, 4]
        await publish(server, name, range(6, 10))
        assert await heard(one, 2) == [6, 8]
        await one.ask("unsubscribe", channel=name)
        odd = {"op": "not", "nodes": [EVEN]}
        back = await one.ask("subscribe", channel=name, recover=True, epoch=began["epoch"], offset=9, tf=odd)
        assert back["recovered"]
        assert [publication["data"] for publication in back["publications"]] == [9]


async def test_a_filter_takes_no_deltas(server: Server) -> None:
    name = room("tagged")
    async with wire(server.ws(ENDPOINT)) as one:
        assert "delta" not in await one.ask("subscribe", channel=name, tf=EVEN, delta="fossil")
        await publish(server, name, range(3))
        assert await heard(one, 2) == [0, 2]


async def test_a_filter_that_is_malformed_or_not_allowed_is_refused(server: Server) -> None:
    async with wire(server.ws(ENDPOINT)) as one:
        assert await one.ask("subscribe", channel=room("open"), tf=EVEN) == 107
        name = room("tagged")
        assert await one.ask("subscribe", channel=name, tf={"key": "n", "cmp": "near"}) == 107
        assert isinstance(await one.ask("subscribe", channel=name, tf=EVEN), dict)
