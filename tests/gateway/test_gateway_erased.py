"""Clients of the protocol in rooms from whose history publications were erased."""

import json
from typing import Any

import pytest
from centrifuge import DeltaType, StreamPosition
from centrifuge.fossil import apply_delta
from gateway_sdk import Server, guest, room
from gateway_wire import ENDPOINT, Wire, wire

BOTH = pytest.mark.parametrize("protobuf", [False, True], ids=["json", "protobuf"])


async def say(server: Server, name: str, *texts: str) -> None:
    async with server.http() as http:
        for text in texts:
            (await http.post(f"/publish/{name}", content=json.dumps(text))).raise_for_status()


async def erase(server: Server, name: str, *offsets: int) -> None:
    async with server.http() as http:
        for offset in offsets:
            assert (await http.post(f"/erase/{name}/{offset}")).json() is True


@BOTH
@pytest.mark.parametrize("delta", [None, DeltaType.FOSSIL], ids=["whole", "delta"])
async def test_the_sdk_resumes_across_what_was_erased(
    server: Server, protobuf: bool, delta: DeltaType | None
) -> None:
    name = room("delta")
    texts = [f"{'mostly the same ' * 8}{number}" for number in range(9)]
    await say(server, name, *texts[:2])
    async with guest(server, protobuf=protobuf) as ada:
        sub, events, _ = await ada.enter(name, delta=delta, recoverable=True)
        await say(server, name, texts[2])
        assert (await events.next("publication")).pub.offset == 3
        await sub.unsubscribe()
        await say(server, name, *texts[3:7])
        await erase(server, name, 4, 7)
        await sub.subscribe()
        back = await events.next("subscribed")
        assert (back.was_recovering, back.recovered) == (True, True)
        await say(server, name, *texts[7:])
        got = [(await events.next("publication")).pub for _ in range(4)]
        assert [one.offset for one in got] == [5, 6, 8, 9]
        expected = [texts[4], texts[5], texts[7], texts[8]]
        assert [one.data for one in got] == [ada.data(json.dumps(text)) for text in expected]
        await sub.unsubscribe()
        await erase(server, name, 9)
        await sub.subscribe()
        again = await events.next("subscribed")
        assert (again.was_recovering, again.recovered) == (True, True)


@BOTH
async def test_the_sdk_pages_through_a_history_with_holes(server: Server, protobuf: bool) -> None:
    name = room("chat")
    await say(server, name, *map(str, range(9)))
    await erase(server, name, 2, 3, 5, 9)
    async with guest(server, protobuf=protobuf) as ada:
        sub, _, _ = await ada.enter(name)
        found, at = [], StreamPosition(0, (await sub.history(limit=0)).epoch)
        while page := (await sub.history(limit=2, since=at)).publications:
            found += [one.offset for one in page]
            at = StreamPosition(page[-1].offset, at.epoch)
        assert found == [1, 4, 6, 7, 8]
        found, at = [], StreamPosition(10, at.epoch)
        while page := (await sub.history(limit=2, since=at, reverse=True)).publications:
            found += [one.offset for one in page]
            at = StreamPosition(page[-1].offset, at.epoch)
        assert found == [8, 7, 6, 4, 1]


@BOTH
async def test_a_cache_falls_back_to_the_newest_that_is_left(server: Server, protobuf: bool) -> None:
    name = room("cache")
    await say(server, name, "first")
    async with guest(server, protobuf=protobuf) as ada:
        sub, events, _ = await ada.enter(name, recoverable=True)
        await sub.unsubscribe()
        await say(server, name, "second", "third", "fourth")
        await erase(server, name, 4, 3)
        await sub.subscribe()
        assert (await events.next("subscribed")).recovered
        pub = (await events.next("publication")).pub
        assert (pub.offset, pub.data) == (2, ada.data('"second"'))
        await say(server, name, "fifth")
        assert (await events.next("publication")).pub.offset == 5
        await sub.unsubscribe()
        await say(server, name, "sixth")
        await erase(server, name, 1, 2, 5, 6)
        await sub.subscribe()
        assert not (await events.next("subscribed")).recovered


async def subscribe(one: Wire, name: str, offset: int, epoch: str) -> Any:
    return await one.ask("subscribe", channel=name, recover=True, delta="fossil", offset=offset, epoch=epoch)


async def test_no_delta_is_based_on_what_was_erased(server: Server) -> None:
    """Whoever was sent it may get a delta of it; who was not gets whole publications, and the first one as
    well where the node has forgotten the base."""
    name, secret = room("delta"), "the secret that is to be forgotten by everybody"
    async with wire(server.ws(ENDPOINT)) as old, wire(server.ws(ENDPOINT)) as new:
        began = await subscribe(old, name, 0, "")
        await say(server, name, "harmless")
        assert json.loads((await old.push("pub"))["data"]) == "harmless"
        await say(server, name, secret)
        seen = await old.push("pub")
        assert not seen.get("delta") or secret in apply_delta(b'"harmless"', seen["data"].encode()).decode()
        await erase(server, name, 2)
        back = await subscribe(new, name, 0, began["epoch"])
        assert [one["offset"] for one in back["publications"]] == [1]
        await say(server, name, f"{secret}, once more", f"{secret}, and again")
        for one in (old, new):
            third, fourth = await one.push("pub"), await one.push("pub")
            assert not third.get("delta"), "its base was erased"
            assert json.loads(third["data"]) == f"{secret}, once more"
            assert fourth["delta"]
            whole = apply_delta(third["data"].encode(), fourth["data"].encode())
            assert json.loads(whole) == f"{secret}, and again"


async def test_the_deltas_of_a_resume_go_from_what_is_left_to_what_is_left(server: Server) -> None:
    name = room("delta")
    texts = [f"{'a long text that hardly changes ' * 4}{number}" for number in range(4)]
    await say(server, name, texts[0], "SECRET" * 20, texts[2], texts[3])
    await erase(server, name, 2)
    async with wire(server.ws(ENDPOINT)) as one:
        began = await subscribe(one, name, 0, "")
        assert began["recovered"]
        base, found = b"", []
        for publication in began["publications"]:
            assert "SECRET" not in publication["data"]
            text = publication["data"].encode()
            base = apply_delta(base, text) if publication.get("delta") else text
            found.append(json.loads(base))
        assert found == [texts[0], texts[2], texts[3]]
        assert any(publication.get("delta") for publication in began["publications"])
