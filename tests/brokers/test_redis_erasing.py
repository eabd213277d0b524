"""Erasing on Redis: marks beside the stream tell what was erased from what was lost."""

from collections.abc import Iterator

import pytest
from broker_node import Node, position_of
from polling import eventually
from redis_nodes import KEEP, behind_a_proxy, offsets, running
from redis_servers import RedisServer, new_prefix, redis_server

from hubbub import BEGINNING, History, HistoryGone, Hub, Position, Publication


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with redis_server("valkey") as server:
        yield server


async def erase(node: Node, *publications: Publication, history: History = KEEP) -> None:
    for one in publications:
        assert await node.broker.erase("r", history, position_of(one))


async def offsets_since(node: Node, position: Position) -> list[int]:
    page = await node.broker.history("r", KEEP, since=position, limit=None, reverse=False)
    return [position_of(one).offset for one in page.publications]


async def test_marks_live_as_long_as_what_they_stand_for_and_are_no_more_than_the_history(
    valkey: RedisServer,
) -> None:
    prefix = new_prefix()
    log, marks = f"{prefix}:{{r}}:log", f"{prefix}:{{r}}:erased"
    small = History(size=5, ttl=60.0)
    async with running(valkey.url(prefix=prefix)) as node:
        made = await node.fill(*map(str, range(3)), history=small)
        assert valkey.run("EXISTS", marks) == 0
        for _ in range(20):
            (one,) = await node.fill("x", history=small)
            await erase(node, one, history=small)
        assert valkey.run("ZCARD", marks) == 5
        assert valkey.run("XLEN", log) == 0
        assert 50 <= valkey.run("TTL", marks) <= 60
        with pytest.raises(HistoryGone):
            await offsets_since(node, position_of(made[0]))
        await node.broker.remove_history("r")
        assert valkey.run("EXISTS", marks) == 0


async def test_a_mark_that_the_server_lost_makes_a_resume_fail_and_nothing_worse(valkey: RedisServer) -> None:
    prefix = new_prefix()
    async with running(valkey.url(prefix=prefix)) as node:
        made = await node.fill(*"abcdef", history=KEEP)
        await erase(node, made[1], made[3], made[5])
        valkey.run("ZREMRANGEBYSCORE", f"{prefix}:{{r}}:erased", "4", "4")
        for lost in made[:3]:
            with pytest.raises(HistoryGone):
                await offsets_since(node, position_of(lost))
        assert await offsets_since(node, position_of(made[3])) == [5]
        valkey.run("DEL", f"{prefix}:{{r}}:erased")
        with pytest.raises(HistoryGone):
            await offsets_since(node, position_of(made[4]))
        assert await offsets_since(node, position_of(made[5])) == []


async def test_marks_of_an_earlier_epoch_say_nothing_of_the_present_one(valkey: RedisServer) -> None:
    prefix = new_prefix()
    async with running(valkey.url(prefix=prefix)) as node:
        await erase(node, *await node.fill(*"abc", history=KEEP))
        valkey.run("DEL", f"{prefix}:{{r}}:meta")
        again = await node.fill(*"abc", history=KEEP)
        valkey.run("XDEL", f"{prefix}:{{r}}:log", "2-0")  # lost, not erased
        with pytest.raises(HistoryGone):
            await offsets_since(node, position_of(again[0]))


async def test_a_link_that_comes_back_passes_over_what_was_erased_meanwhile(valkey: RedisServer) -> None:
    async with behind_a_proxy(valkey) as (far, near, proxy):
        made = await near.fill(*"ab", history=KEEP)
        await far.payloads(2)
        proxy.refuses = True
        proxy.cut()
        made += await near.fill(*"cdefg", history=KEEP)
        await erase(near, made[3], made[5], made[6])
        proxy.refuses = False
        await eventually(lambda: far.passes, 15.0)
        assert offsets(far) == [1, 2, 3, 5]
        assert far.passes == [("r", position_of(made[6]))]
        assert await far.broker.subscribe("r", KEEP) == position_of(made[6])
        await near.fill("h", history=KEEP)
        await far.payloads(5)
        assert offsets(far) == [1, 2, 3, 5, 8]
        assert far.interruptions == []


async def test_a_listener_on_another_node_forgets_what_it_has_read_ahead(valkey: RedisServer) -> None:
    url = valkey.url()
    here, there = Hub(url), Hub(url)
    for hub in (here, there):
        hub.room("r", history=KEEP)
    async with here, there:
        for text in "abc":
            await there.broadcast_to_room("r", text)
        await eventually(lambda: len(here.nodes) == len(there.nodes) == 2)
        async with here.listen("r", since=BEGINNING) as heard, here.listen("r") as live:
            for text in "de":
                await there.broadcast_to_room("r", text)
            assert await there.erase("r", 2)
            assert await there.erase("r", 4)
            await there.broadcast_to_room("r", "last")
            await eventually(lambda: here.parts.following.position("r") == Position(_epoch(here), 6))
            assert [(await anext(heard)).payload for _ in range(4)] == ["a", "c", "e", "last"]
            assert [(await anext(live)).payload for _ in range(2)] == ["e", "last"]


def _epoch(hub: Hub) -> str:
    position = hub.parts.following.position("r")
    assert position is not None
    return position.epoch
