"""One room with clients of every kind: each publication reaches all of them, once and in one order."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from centrifuge import DeltaType
from centrifuge.fossil import apply_delta
from gateway_sdk import Events, Server, guest, room, token
from gateway_wire import ENDPOINT, wire
from stream_wire import Stream, stream
from websockets.asyncio.client import ClientConnection, connect

COUNT = 30


Heard = Callable[[], Awaitable[Any]]
"""Gives the next publication's data to a member, decoded."""


@pytest.mark.parametrize("delta", [False, True], ids=["whole", "deltas"])
@pytest.mark.parametrize("kind", ["open", "mixed", "delta"])
async def test_members_of_every_kind_hear_the_same_once_and_in_order(
    server: Server, kind: str, delta: bool
) -> None:
    name = room(kind)
    deltas = delta and kind == "delta"
    async with AsyncExitStack() as stack:
        members: dict[str, Heard] = {}
        for envelope in (False, True):
            path = f"/plain/{name}?envelope={int(envelope)}"
            plain = await stack.enter_async_context(connect(server.ws(path), proxy=None))
            members[f"plain {envelope}"] = partial(plain_data, plain, envelope)
        for protobuf in (False, True):
            sdk = await stack.enter_async_context(guest(server, protobuf=protobuf))
            _, events, _ = await sdk.enter(name, **({"delta": DeltaType.FOSSIL} if delta else {}))
            members[f"sdk {protobuf}"] = partial(sdk_data, events)
        for transport in ("sse", "sse_post", "http_stream"):
            one = await stack.enter_async_context(stream(server, transport))
            began = await one.ask("subscribe", channel=name, **({"delta": "fossil"} if delta else {}))
            assert began.get("delta", False) is deltas
            assert began.get("positioned", False) is (kind != "open")
            members[transport] = Pushes(one, deltas).data
        http = await stack.enter_async_context(server.http())
        expected = [{"text": "much the same again " * 20, "n": number} for number in range(COUNT)]
        for wanted in expected:
            (await http.post(f"/publish/{name}", content=json.dumps(wanted))).raise_for_status()
        for member, data in members.items():
            assert [await data() for _ in expected] == expected, member
        for member, data in members.items():
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    raise AssertionError(f"{member} got one more: {await data()}")


async def plain_data(socket: ClientConnection, envelope: bool) -> Any:
    told = json.loads(await socket.recv())
    if envelope and told["type"] == "joined":
        told = json.loads(await socket.recv())
    return told["data"] if envelope else told


async def sdk_data(events: Events) -> Any:
    data = (await events.next("publication")).pub.data
    return json.loads(data) if isinstance(data, bytes) else data


class Pushes:
    """The publications of a stream's client."""

    def __init__(self, stream: Stream, deltas: bool) -> None:
        self._stream = stream
        self._deltas = deltas
        self._base = b""

    async def data(self) -> Any:
        publication = await self._stream.push("pub")
        if not self._deltas:
            return publication["data"]
        data = publication["data"].encode()
        self._base = apply_delta(self._base, data) if publication.get("delta") else data
        return json.loads(self._base)


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
