"""How connections end: by time, by slowness, by the hub's end."""

import asyncio
import json
import signal

import pytest
from gateway_sdk import Server, guest, room, token
from gateway_servers import StartServer
from gateway_wire import ENDPOINT, wire
from polling import eventually
from raw_client import RawClient
from websockets.exceptions import InvalidStatus

from hubbub.gateway.service import MOST_NEWCOMERS

QUICK = {"FIRST_MESSAGE": "0.3", "PING": "0.4", "PONG": "0.3"}


async def test_silent_and_late_clients_are_sent_away(start_server: StartServer) -> None:
    with start_server(QUICK) as server:
        async with (
            wire(server.ws(ENDPOINT), connected=False) as mute,
            wire(server.ws(ENDPOINT)) as deaf,
            wire(server.ws(f"{ENDPOINT}?cf_ws_frame_ping_pong=true")) as native,
            wire(server.ws(ENDPOINT)) as well,
        ):
            listening = asyncio.create_task(well.next())  # it answers
            assert await mute.end() == (3502, "stale")
            assert await deaf.end() == (3012, "no pong")
            # It was told of no pings, and gets none as messages.
            assert await native.ask("ping") == {}
            assert native.frames == 2
            await eventually(lambda: well.pings >= 3)
            listening.cancel()
            assert well.socket.close_code is None


async def test_only_so_many_may_be_there_of_whom_it_is_not_known_who_they_are(
    start_server: StartServer,
) -> None:
    with start_server({"NEWCOMERS": str(MOST_NEWCOMERS - 1), "BEFORE": "1"}) as server:
        async with wire(server.ws(ENDPOINT), connected=False) as last:
            with pytest.raises(InvalidStatus) as refusal:
                async with wire(server.ws(ENDPOINT), connected=False):
                    pass
            assert refusal.value.response.status_code == 503
            await last.ask("connect")
            async with wire(server.ws(ENDPOINT), connected=False):
                pass
            async with wire(server.ws(ENDPOINT)), wire(server.ws(ENDPOINT)):
                pass
        with pytest.raises(InvalidStatus) as refusal:
            async with wire(server.ws(ENDPOINT), origin="https://evil.example"):
                pass
        assert refusal.value.response.status_code == 403
        async with server.http() as http:  # the app behind it
            assert (await http.get("/state")).status_code == 200


async def test_who_lost_publications_is_told_to_come_back(server: Server) -> None:
    name, chosen = room("chat"), room("news")
    async with server.http() as http:
        async with wire(server.ws(ENDPOINT), server.secret(token("ada", channels=[chosen]))) as ada:
            await ada.ask("subscribe", channel=name)
            await http.post(f"/lose/{name}")
            while (reply := await ada.next())["push"].get("unsubscribe") is None:
                pass
            assert reply["push"] == {
                "channel": name,
                "unsubscribe": {"code": 2500, "reason": "insufficient state"},
            }
            assert isinstance(await ada.ask("subscribe", channel=name), dict)
            await http.post(f"/lose/{chosen}")
            assert await ada.end() == (3010, "insufficient state")
        async with guest(server) as bob:
            _, events, _ = await bob.enter(name)
            await http.post(f"/publish/{name}", content="1")
            await events.next("publication")
            await http.post(f"/lose/{name}")
            again = await events.next("subscribed")
            assert (again.was_recovering, again.recovered) == (True, True)


async def test_whose_message_the_application_cannot_take_is_told_to_come_back(server: Server) -> None:
    async with wire(server.ws(ENDPOINT)) as one:
        await one.say({"send": {"data": "crash"}})
        assert await one.end() == (3004, "internal server error")


async def test_the_application_hears_who_leaves(server: Server) -> None:
    first, second = room("open"), room("open")
    async with wire(server.ws(ENDPOINT)) as one:
        await one.ask("subscribe", channel=first)
        await one.ask("subscribe", channel=second)
        await one.ask("unsubscribe", channel=first)
        await eventually(lambda: _left(server, first))
        assert not await _left(server, second)
    await eventually(lambda: _left(server, second))


async def _left(server: Server, name: str) -> bool:
    async with server.http() as http:
        gone: list[str] = (await http.get("/state")).json()["gone"]
        assert gone.count(name) < 2
        return name in gone


async def test_the_connect_reply_tells_of_pings(server: Server) -> None:
    async with wire(server.ws(ENDPOINT), connected=False) as one:
        answer = await one.ask("connect")
        assert (answer["ping"], answer["pong"]) == (25, True)
    async with wire(server.ws(f"{ENDPOINT}?cf_ws_frame_ping_pong=true"), connected=False) as one:
        assert "ping" not in await one.ask("connect")


async def test_a_slow_reader_is_closed_3008_and_nobody_waits_for_it(server: Server) -> None:
    name = room("open")
    slow = await RawClient.open(server.ws(ENDPOINT), receive_buffer=4_096)
    try:
        await slow.send(b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"%b"}}' % name.encode())
        async with wire(server.ws(ENDPOINT)) as fast, server.http() as http:
            await fast.ask("subscribe", channel=name)
            await eventually(lambda: _members(server, name, 2))
            text = json.dumps("x" * 60_000)
            for _ in range(200):
                await http.post(f"/publish/{name}", content=text)
                assert len((await fast.push("pub"))["data"]) == 60_000
                if (await http.get("/state")).json()["slow"]:
                    break
            else:
                raise AssertionError("nobody is too slow")
        _, code = await slow.read_to_the_end()
        assert code == 3008
    finally:
        slow.close()


async def _members(server: Server, name: str, count: int) -> bool:
    async with server.http() as http:
        return bool((await http.get("/state")).json()["rooms"].get(name) == count)


async def test_clients_come_back_after_the_server_was_restarted(start_server: StartServer) -> None:
    with start_server() as server:
        async with guest(server, None) as one:
            _, events, _ = await one.enter(room("open"))
            server.process.send_signal(signal.SIGTERM)
            assert (await one.events.next("connecting")).code == 0  # the first one, ours
            again = await one.events.next("connecting")
            assert again.code != 0
            assert not one.events.waiting("disconnected")
            assert events is not None


async def test_a_connection_of_which_the_end_has_passed_is_refused(server: Server) -> None:
    ended = server.secret(token("ada", expire_at=1))
    async with wire(server.ws(ENDPOINT), connected=False) as one:
        assert await one.ask("connect", token=ended) == 110
