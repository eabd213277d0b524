"""Who is in a room, and who comes and goes: each connection by itself, with what is known of it there."""

import json

from gateway_sdk import Server, guest, room, token
from gateway_wire import ENDPOINT, wire
from websockets.asyncio.client import connect


async def test_each_connection_of_a_user_comes_and_goes_by_itself(server: Server) -> None:
    name = room("chat")
    async with wire(server.ws(ENDPOINT), server.secret(token("bob"))) as bob:
        await bob.ask("subscribe", channel=name)
        own = (await bob.push("join"))["info"]
        ids = []
        async with wire(server.ws(ENDPOINT), server.secret(token("ada", info={"name": "Ada"}))) as first:
            await first.ask("subscribe", channel=name)
            came = (await bob.push("join"))["info"]
            assert (came["user"], came["conn_info"]) == ("ada", {"name": "Ada"})
            ids.append(came["client"])
            async with wire(server.ws(ENDPOINT), server.secret(token("ada"))) as second:
                await second.ask("subscribe", channel=name)
                ids.append((await bob.push("join"))["info"]["client"])
                seen = (await bob.ask("presence", channel=name))["presence"]
                assert set(seen) == {own["client"], *ids}
                assert await bob.ask("presence_stats", channel=name) == {"num_clients": 3, "num_users": 2}
                await second.ask("unsubscribe", channel=name)
                assert (await bob.push("leave"))["info"] == {"user": "ada", "client": ids[1]}
        assert (await bob.push("leave"))["info"] == came
        async with connect(server.ws(f"/plain/{name}"), proxy=None):
            plain = (await bob.push("join"))["info"]
            assert plain["user"] == ""
        assert (await bob.push("leave"))["info"] == plain


async def test_what_a_subscription_token_says_is_seen_in_that_room_only(server: Server) -> None:
    name, other = room("chat"), room("chat")
    ticket = server.secret(token("ada", channel=name, info={"role": "host"}))
    connection = server.secret(token("ada", info={"name": "Ada"}))
    async with (
        guest(server, "bob") as by_json,
        guest(server, "eve", protobuf=True) as by_protobuf,
        wire(server.ws(ENDPOINT), connection) as ada,
    ):
        entered = [await by_json.enter(name), await by_protobuf.enter(name)]
        await ada.ask("subscribe", channel=name, token=ticket)
        await ada.ask("subscribe", channel=other)
        for (subscription, events, _), read in zip(entered, (lambda it: it, json.loads), strict=True):
            while (info := (await events.next("join")).info).user != "ada":
                pass
            assert (read(info.conn_info), read(info.chan_info)) == ({"name": "Ada"}, {"role": "host"})
            there = (await subscription.presence()).clients[info.client]
            assert (read(there.conn_info), read(there.chan_info)) == ({"name": "Ada"}, {"role": "host"})
        (elsewhere,) = (await ada.ask("presence", channel=other))["presence"].values()
        assert elsewhere["conn_info"] == {"name": "Ada"}
        assert "chan_info" not in elsewhere


async def test_too_much_to_tell_others_is_refused(server: Server) -> None:
    name = room("chat")
    ticket = server.secret(token("ada", channel=name, info="x" * 1_100))
    async with wire(server.ws(ENDPOINT), server.secret(token("ada"))) as ada:
        assert await ada.ask("subscribe", channel=name, token=ticket) == 103
