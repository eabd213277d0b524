"""One room with clients of every kind: each publication reaches all of them, once and in one order."""

import asyncio
import json
import time

import pytest
from centrifuge import DeltaType
from gateway_sdk import Server, guest, room, token
from gateway_wire import ENDPOINT, wire
from websockets.asyncio.client import connect

COUNT = 30


async def test_plain_envelope_json_and_protobuf_members_hear_the_same(server: Server) -> None:
    name = room("mixed")
    async with (
        connect(server.ws(f"/plain/{name}"), proxy=None) as plain,
        connect(server.ws(f"/plain/{name}?envelope=1"), proxy=None) as envelope,
        guest(server) as by_json,
        guest(server, protobuf=True) as by_protobuf,
        server.http() as http,
    ):
        assert json.loads(await envelope.recv())["type"] == "joined"
        _, json_heard, _ = await by_json.enter(name)
        _, protobuf_heard, _ = await by_protobuf.enter(name)
        texts = [json.dumps({"n": number}) for number in range(COUNT)]
        for text in texts:
            (await http.post(f"/publish/{name}", content=text)).raise_for_status()
        assert [await plain.recv() for _ in texts] == texts
        wrapped = [json.loads(await envelope.recv()) for _ in texts]
        assert [one["offset"] for one in wrapped] == list(range(1, COUNT + 1))
        of_json = [(await json_heard.next("publication")).pub for _ in texts]
        of_protobuf = [(await protobuf_heard.next("publication")).pub for _ in texts]
        assert [one.data for one in of_json] == [json.loads(text) for text in texts]
        assert [one.data for one in of_protobuf] == [text.encode() for text in texts]
        assert [one.offset for one in of_json] == [one.offset for one in of_protobuf]
        for socket in (plain, envelope):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await socket.recv()
        assert not json_heard.waiting("publication")
        assert not protobuf_heard.waiting("publication")


async def test_text_and_bytes_reach_json_clients_too(server: Server) -> None:
    name = room("mixed")
    async with guest(server) as by_json, guest(server, protobuf=True) as by_protobuf, server.http() as http:
        _, json_heard, _ = await by_json.enter(name)
        _, protobuf_heard, _ = await by_protobuf.enter(name)
        text = {"content-type": "text/plain"}
        await http.post(f"/publish/{name}", content="[1]", headers=text)
        binary = {"content-type": "application/octet-stream"}
        await http.post(f"/publish/{name}", content=b"\x00\xff", headers=binary)
        assert [(await json_heard.next("publication")).pub.data for _ in range(2)] == [
            "[1]",
            "AP8=",
        ]
        assert [(await protobuf_heard.next("publication")).pub.data for _ in range(2)] == [
            b"[1]",
            b"\x00\xff",
        ]


async def test_members_with_and_without_deltas_hear_the_same(server: Server) -> None:
    name = room("delta")
    texts = [json.dumps({"text": "the same again " * 20, "n": number}) for number in range(COUNT)]
    async with (
        wire(server.ws(ENDPOINT)) as whole,
        wire(server.ws(ENDPOINT)) as raw,
        guest(server) as by_json,
        guest(server, protobuf=True) as by_protobuf,
        server.http() as http,
    ):
        await whole.ask("subscribe", channel=name)
        assert (await raw.ask("subscribe", channel=name, delta="fossil"))["delta"]
        _, json_heard, _ = await by_json.enter(name, delta=DeltaType.FOSSIL)
        _, protobuf_heard, _ = await by_protobuf.enter(name, delta=DeltaType.FOSSIL)
        for text in texts:
            await http.post(f"/publish/{name}", content=text)
        expected = [json.loads(text) for text in texts]
        assert [(await whole.push("pub"))["data"] for _ in texts] == expected
        assert [(await json_heard.next("publication")).pub.data for _ in texts] == expected
        assert [(await protobuf_heard.next("publication")).pub.data for _ in texts] == [
            text.encode() for text in texts
        ]
        seen = [await raw.push("pub") for _ in texts]
        assert [one.get("delta", False) for one in seen] == [False] + [True] * (COUNT - 1)
        assert max(len(one["data"]) for one in seen[1:]) < len(texts[0]) / 4


async def test_a_publication_has_the_same_time_live_in_recovery_in_history_and_in_an_envelope(
    server: Server,
) -> None:
    name = room("chat")
    async with (
        connect(server.ws(f"/plain/{name}?envelope=1"), proxy=None) as envelope,
        wire(server.ws(ENDPOINT), server.secret(token("ada"))) as one,
        server.http() as http,
    ):
        await envelope.recv()
        await one.ask("subscribe", channel=name)
        await one.push("join")
        (await http.post(f"/publish/{name}", content="1")).raise_for_status()
        live = (await one.push("pub"))["time"]
        assert abs(live - time.time() * 1_000) < 60_000
        assert live == round(json.loads(await envelope.recv())["time"] * 1_000)
        history = await one.ask("history", channel=name, limit=1)
        async with wire(server.ws(ENDPOINT), server.secret(token("bob"))) as other:
            recovered = await other.ask("subscribe", channel=name, recover=True, epoch=history["epoch"])
        for page in (history, recovered):
            assert page["publications"][0]["time"] == live
