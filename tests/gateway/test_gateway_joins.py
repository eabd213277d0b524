"""What an application does: `hub.join` and `hub.leave` are subscriptions that the client knows of."""

import json
from typing import Any

import pytest
from centrifuge import CentrifugeError
from gateway_sdk import Guest, Server, guest, room, token
from gateway_wire import ENDPOINT, Wire, wire
from polling import eventually


async def join(one: Wire, name: str, *since: Any) -> Any:
    """Have it join by the method of the app; what `hub.join` returned, or the error's code."""
    answer = await one.ask("rpc", method="join", data=[name, *since])
    return answer["data"] if isinstance(answer, dict) else answer


@pytest.mark.parametrize("protobuf", [False, True], ids=["json", "protobuf"])
async def test_an_sdk_knows_where_the_application_has_put_it(server: Server, protobuf: bool) -> None:
    name = room("news")
    async with guest(server, None, protobuf=protobuf) as one, server.http() as http:
        data = await call(one, "join", [name])
        assert data["member"]
        assert (await one.events.next("subscribed")).channel == name
        await http.post(f"/publish/{name}", content="[1]")
        publication = await one.events.next("publication")
        assert (publication.channel, publication.pub.data) == (name, one.data("[1]"))
        await call(one, "leave", name)
        assert (await one.events.next("unsubscribed")).channel == name
        assert (await http.get("/state")).json()["rooms"].get(name) is None


async def call(one: Guest, method: str, data: Any) -> Any:
    text = json.dumps(data)
    answer = (await one.sdk.rpc(method, one.data(text))).data
    return json.loads(answer) if one.protobuf and answer else answer


async def test_the_client_hears_of_it_before_anything_of_the_room_and_can_come_back(server: Server) -> None:
    name = room("news")
    async with wire(server.ws(ENDPOINT)) as one, server.http() as http:
        joined = await join(one, name)
        epoch, offset = joined["position"]
        assert (joined["recovered"], offset) == (None, 0)
        began = await one.push("subscribe")
        assert (began["recoverable"], began["positioned"], began["epoch"]) == (True, True, epoch)
        await http.post(f"/publish/{name}", content="1")
        assert (await one.push("pub"))["data"] == 1
        assert (await join(one, name))["position"] == [epoch, 1]  # again: nothing happens
        await one.ask("rpc", method="leave", data=name)
        assert (await one.push("unsubscribe"))["code"] == 2000
        await http.post(f"/publish/{name}", content="2")
        back = await join(one, name, 1, epoch)
        assert (back["recovered"], back["position"]) == (True, [epoch, 2])
        await one.push("subscribe")
        assert (await one.push("pub"))["data"] == 2
        await one.ask("rpc", method="leave", data=name)
        assert (await join(one, name, 1, "another"))["recovered"] is False


async def test_its_own_subscription_and_the_applications_are_one(server: Server) -> None:
    name = room("open")
    async with wire(server.ws(ENDPOINT)) as one:
        assert (await join(one, name))["member"]
        await one.push("subscribe")
        assert await one.ask("subscribe", channel=name) == 105
        await one.ask("unsubscribe", channel=name)
        await one.ask("subscribe", channel=name)
        assert (await join(one, name))["member"]
        await one.ask("rpc", method="leave", data=name)
        assert (await one.push("unsubscribe"))["code"] == 2000
        assert await one.ask("publish", channel=name, data=1) == {}


async def test_a_handler_of_the_room_itself_can_have_its_client_join(server: Server) -> None:
    name = room("joining")
    async with wire(server.ws(ENDPOINT)) as one:
        assert await one.ask("publish", channel=name, data=1) == {}
        await one.push("subscribe")
        assert (await one.push("pub"))["data"] == 1


async def test_it_counts_in_the_limit_and_in_presence(server: Server) -> None:
    name = room("chat")
    async with wire(server.ws(ENDPOINT), server.secret(token("ada"))) as one:
        assert (await join(one, name))["member"]
        presence = await one.ask("presence", channel=name)
        assert [info["user"] for info in presence["presence"].values()] == ["ada"]
        for number in range(125):
            assert (await join(one, f"open:limit{number}"))["member"]
        assert (await join(one, "open:the-last"))["member"]
        assert await join(one, "open:one-more") == 106
        assert await join(one, "no such name") == 107
        assert await one.ask("publish", channel=name, data=1) == {}


async def test_a_join_that_is_given_up_leaves_nothing(server: Server) -> None:
    name = room("news:given-up")
    async with wire(server.ws(ENDPOINT)) as one, server.http() as http:
        assert await join(one, name) == 100

        async def gone() -> bool:
            return (await http.get(f"/position/{name}")).json() == ""

        await eventually(gone)
        assert name not in (await http.get("/state")).json()["rooms"]


async def test_who_gives_a_join_up_does_not_end_that_of_somebody_else(server: Server) -> None:
    name = room("news")
    async with wire(server.ws(ENDPOINT)) as one, server.http() as http:
        answer = await one.ask("rpc", method="join twice", data=name)
        assert answer["data"] == {"cancelled": True, "joined": True, "member": True}
        assert (await one.push("subscribe"))["recoverable"]
        await http.post(f"/publish/{name}", content="1")
        assert (await one.push("pub"))["data"] == 1


async def test_an_sdk_is_refused_what_the_hub_refuses(server: Server) -> None:
    async with guest(server) as one:
        with pytest.raises(CentrifugeError) as refusal:
            await call(one, "join", ["no such name"])
        assert refusal.value.code == 107  # type: ignore[attr-defined]


async def test_a_client_that_is_forgotten_is_told_so(server: Server) -> None:
    name = room("open")
    async with wire(server.ws(ENDPOINT)) as one, server.http() as http:
        await one.ask("subscribe", channel=name)
        await one.say({"id": 9, "rpc": {"method": "forget"}})
        assert (await one.end())[0] == 3503
        assert name not in (await http.get("/state")).json()["rooms"]
