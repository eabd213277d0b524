"""Looking into one connection: its messages both ways, from any node, and nothing of anybody else's."""

import json
from typing import Any

from admin_client import asked, looking, seen
from polling import eventually
from server_process import ServerProcess
from socket_client import heard_json, heard_until, opened
from websockets.asyncio.client import ClientConnection


async def frames_of(feed: ClientConnection, last: str) -> list[dict[str, Any]]:
    """The messages that are shown, up to one with this text."""
    found: list[dict[str, Any]] = []

    def look(message: Any) -> bool:
        found.extend(message.get("frames", {}).get("frames", []))
        return any(last in frame["text"] for frame in found)

    await seen(feed, look)
    return found


async def tap(server: ServerProcess, feed: ClientConnection, search: str) -> str:
    """Look into the one connection that is found so, once it is there."""

    async def one() -> Any:
        rows = (await asked(server, "connections", search=search))["rows"]
        return len(rows) == 1 and rows[0]["id"]

    id: str = await eventually(one, 15)
    await feed.send(json.dumps({"tap": id}))
    return id


async def shown(feed: ClientConnection, client: ClientConnection, probe: str = "probe") -> None:
    """Wait until what the client says is seen: then the tap is there."""
    for _ in range(100):
        await client.send(probe)
        message = await seen(feed, lambda message: message)
        if "frames" in message:
            return
    raise AssertionError("nothing was shown")


async def test_messages_both_ways_are_shown_in_order_and_none_of_others(admin: ServerProcess) -> None:
    async with (
        looking(admin) as feed,
        opened(admin, "/chat/tapped?username=tapped-one") as one,
        opened(admin, "/chat/tapped?username=tapped-two") as two,
        opened(admin, "/chat/elsewhere?username=other") as other,
    ):
        await tap(admin, feed, "tapped-one")
        await shown(feed, one)
        await other.send("not to be seen")
        await two.send("<img src=x onerror=alert(1)>")
        await one.send("last")
        frames = await frames_of(feed, '"from":"tapped-one","text":"last"')
        texts = [(frame["incoming"], frame["text"]) for frame in frames]
        assert (True, "last") in texts
        assert (False, '{"from":"tapped-two","text":"<img src=x onerror=alert(1)>"}') in texts
        assert texts.index((True, "last")) < len(texts) - 1
        assert {frame["room"] for frame in frames if not frame["incoming"]} == {"chat:tapped"}
        assert "not to be seen" not in str(texts)
        await heard_until(two, '{"from":"tapped-one","text":"last"}')
        await feed.send(json.dumps({"tap": None}))


async def test_a_connection_of_another_node_is_looked_into(pair: tuple[ServerProcess, ServerProcess]) -> None:
    async with looking(pair[0]) as feed, opened(pair[1], "/chat/far?username=far-away") as client:
        await tap(pair[0], feed, "far-away")
        await shown(feed, client)
        await client.send("from afar")
        assert await frames_of(feed, "from afar")


async def test_long_messages_are_cut_and_tokens_left_out(admin: ServerProcess) -> None:
    async with looking(admin) as feed, opened(admin, "/connection/websocket") as client:
        await client.send(json.dumps({"id": 1, "connect": {"name": "cutting"}}))
        await heard_json(client)
        await tap(admin, feed, "cutting")
        await shown(feed, client, json.dumps({"id": 2, "rpc": {"method": "none"}}))
        await client.send(json.dumps({"id": 3, "rpc": {"method": "x" * 3_000}}))
        secret = admin.secret("token-that-nobody-may-see-0123456789")
        await client.send(json.dumps({"id": 4, "refresh": {"token": secret}}))
        frames = await frames_of(feed, '"refresh"')
        assert secret not in str(frames)
        assert '"token": "..."' in str(frames)
        long = next(frame for frame in frames if "xxxx" in frame["text"])
        assert (long["cut"], len(long["text"])) == (True, 1_024)
        assert long["size"] > 3_000


async def test_of_a_flood_only_so_much_is_shown_and_the_rest_is_counted(admin: ServerProcess) -> None:
    async with (
        looking(admin) as feed,
        opened(admin, "/ws/room/flood?username=flooded") as client,
        opened(admin, "/ws/room/flood?username=writer") as writer,
    ):
        await feed.send(json.dumps({"tap": await _id_of_first(admin, "room:flood")}))
        await shown(feed, client)
        for number in range(2_000):
            await writer.send(f"flood {number}")
        total = {"frames": 0, "omitted": 0}

        def look(message: Any) -> bool:
            if batch := message.get("frames"):
                assert len(batch["frames"]) <= 50
                total["frames"] += len(batch["frames"])
                total["omitted"] += batch["omitted"]
            return sum(total.values()) >= 2_000

        await seen(feed, look)
        assert total["omitted"] > 0
        await heard_until(client, "[flood] writer: flood 1999")


async def _id_of_first(server: ServerProcess, search: str) -> str:
    async def both() -> Any:
        page = await asked(server, "connections", search=search, sort="oldest")
        return page["total"] == 2 and page["rows"][0]["id"]

    id: str = await eventually(both, 15)
    return id


async def test_the_end_of_the_connection_is_told_and_requests_that_are_none_are_ignored(
    admin: ServerProcess,
) -> None:
    async with looking(admin) as feed:
        async with opened(admin, "/chat/ending?username=ending") as client:
            for nonsense in ("{}", "[", '{"tap":1}', '{"tap":""}', '{"tap":"nobody"}', '{"other":1}'):
                await feed.send(nonsense)
            await tap(admin, feed, "ending")
            await shown(feed, client)
        await seen(feed, lambda message: message.get("frames", {}).get("ended"))
