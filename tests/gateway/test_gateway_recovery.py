"""Subscribing and coming back while others publish: nothing twice, nothing missing, nothing too early."""

import asyncio
import json
from typing import Any

import pytest
from centrifuge.fossil import apply_delta
from gateway_sdk import Server, room, token
from gateway_servers import StartServer
from gateway_wire import ENDPOINT, Wire, wire
from polling import eventually

COUNT = 400


class Reader:
    """Follows one room through many subscriptions and knows what it has."""

    def __init__(self, wire: Wire, name: str, *, delta: bool) -> None:
        self.offsets: list[int] = []
        self.data: list[Any] = []
        self._wire = wire
        self._name = name
        self._delta = {"delta": "fossil"} if delta else {}
        self._position: dict[str, Any] = {"offset": 0, "epoch": ""}
        self._base = b""

    async def read(self) -> None:
        """Subscribe, take a few, leave, come back; until the last one has come."""
        turn = 0
        while not self.offsets or self.offsets[-1] < COUNT:
            turn += 1
            began = await self._wire.ask(
                "subscribe", channel=self._name, recover=True, **self._position, **self._delta
            )
            assert began["recovered"], began
            self._position["epoch"] = began["epoch"]
            for one in began.get("publications", ()):
                self._take(one)
            for _ in range(turn % 7):
                if self.offsets and self.offsets[-1] == COUNT:
                    break
                self._take(await self._wire.push("pub"))
            if self.offsets and self.offsets[-1] == COUNT:
                return
            # What is on its way when we leave was not read: we come back for it.
            await self._leave()

    async def _leave(self) -> None:
        await self._wire.say({"id": 1_000_000, "unsubscribe": {"channel": self._name}})
        while "unsubscribe" not in (reply := await self._wire.next()):
            self._take(reply["push"]["pub"])

    def _take(self, publication: dict[str, Any]) -> None:
        data = publication["data"]
        if self._delta:
            text = data.encode()
            self._base = apply_delta(self._base, text) if publication.get("delta") else text
            data = json.loads(self._base)
        self.offsets.append(publication["offset"])
        self.data.append(data)
        self._position["offset"] = publication["offset"]


@pytest.mark.parametrize("delta", [False, True], ids=["whole", "delta"])
async def test_coming_and_going_while_others_publish_loses_and_repeats_nothing(
    server: Server, delta: bool
) -> None:
    name = room("long")
    async with (
        wire(server.ws(ENDPOINT)) as speaker,
        wire(server.ws(ENDPOINT)) as first,
        wire(server.ws(ENDPOINT)) as second,
        wire(server.ws(ENDPOINT)) as third,
    ):
        readers = [Reader(one, name, delta=delta) for one in (first, second, third)]
        reading = asyncio.gather(*(one.read() for one in readers))
        sent = [{"text": "mostly the same " * 10, "n": number} for number in range(COUNT)]
        for start in range(0, COUNT, 20):
            commands = [
                {"id": 10 + start + place, "publish": {"channel": name, "data": data}}
                for place, data in enumerate(sent[start : start + 20])
            ]
            await speaker.say(*commands)
            assert all(["publish" in await speaker.next() for _ in commands])
        async with asyncio.timeout(20):
            await reading
    for one in readers:
        assert one.offsets == list(range(1, COUNT + 1))
        assert one.data == sent


async def test_a_push_never_comes_before_the_reply_that_subscribes(server: Server) -> None:
    name = room("open")
    async with wire(server.ws(ENDPOINT)) as one, wire(server.ws(ENDPOINT)) as speaker:

        async def speak() -> None:
            for number in range(200):
                await speaker.ask("publish", channel=name, data=number)

        speaking = asyncio.create_task(speak())
        turn = 0
        while not speaking.done():
            turn += 1
            await one.say(
                {"id": 2 * turn, "subscribe": {"channel": name}},
                {"id": 2 * turn + 1, "unsubscribe": {"channel": name}},
            )
            kinds = []
            while "unsubscribe" not in (reply := await one.next()):
                kinds.append("push" if "push" in reply else "subscribe")
            assert kinds[0] == "subscribe"
        await speaking
        assert turn > 10


@pytest.mark.parametrize("delta", ["", "fossil"], ids=["whole", "delta"])
async def test_what_is_published_while_other_rooms_are_waited_for_is_not_lost(
    start_server: StartServer, delta: str
) -> None:
    quick = "delta:quick"
    with start_server() as server:
        shown = server.secret(token("ada", channels=[quick, "news:slow"]))
        async with wire(server.ws(ENDPOINT), connected=False) as one, server.http() as http:
            for number in range(2):
                await http.post(f"/publish/{quick}", content=str(number))
            subs = {quick: {"delta": delta}} if delta else {}
            await one.say({"id": 1, "connect": {"token": shown, "subs": subs}})
            await eventually(lambda: _follows(http, quick))
            for number in range(2, 5):
                await http.post(f"/publish/{quick}", content=f'"a longer text {number}"')
            await http.post("/open")
            began = (await one.next())["connect"]["subs"][quick]
            assert began["offset"] == 2
            await http.post(f"/publish/{quick}", content='"a longer text 5"')
            heard = [await one.push("pub") for _ in range(4)]
    assert [publication["offset"] for publication in heard] == [3, 4, 5, 6]
    assert [publication.get("delta", False) for publication in heard[:3]] == [False] * 3
    if delta:
        assert json.loads(heard[0]["data"]) == "a longer text 2"


async def _follows(http: Any, name: str) -> bool:
    return bool((await http.get(f"/position/{name}")).json())
