"""Rates and caps for clients of the Centrifuge protocol."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette

from hubbub import Allow, Disconnected, Hub, Protection, Rate
from hubbub.auth import Tokens
from hubbub.core.stats import RefusalReason
from hubbub.gateway import TokenVerifier
from hubbub.testing import Client, connect

SECRET = "a secret of the tests, long enough for a token"
TOO_MANY = {"code": 111, "message": "too many requests", "temporary": True}


def make_hub(**protection: object) -> Hub:
    """A hub with these rates and caps, in whose rooms everybody may do everything."""
    hub = Hub(
        protection=Protection(**protection),  # type: ignore[arg-type]
        tokens=TokenVerifier(SECRET),
        anonymous=True,
    )
    hub.room("{name}", allow_subscribe=Allow.ANYONE, allow_publish=Allow.ANYONE)
    assert hub.routes, "which are made before the hub runs"
    return hub


async def say(client: Client, *commands: dict[str, object]) -> None:
    """Send commands in one frame."""
    await client.send("\n".join(map(json.dumps, commands)))


async def replies(client: Client, count: int) -> dict[int, dict[str, object]]:
    """So many replies, by the number of their command."""
    found: dict[int, dict[str, object]] = {}
    while len(found) < count:
        text = await client.receive()
        assert isinstance(text, str)
        for line in text.splitlines():
            reply = json.loads(line)
            if "id" in reply:
                found[reply["id"]] = reply
    return found


@asynccontextmanager
async def connected(hub: Hub, token: str = "") -> AsyncIterator[Client]:
    """A client that is connected, or as far as it got."""
    async with connect(Starlette(routes=[*hub.routes]), "/connection/websocket") as client:
        await say(client, {"id": 1, "connect": {"token": token} if token else {}})
        yield client


def publish(number: int) -> dict[str, object]:
    return {"id": number, "publish": {"channel": "news", "data": number}}


async def test_commands_over_the_rate_are_answered_with_111_and_then_the_client_is_closed() -> None:
    async with make_hub(messages=Rate(0.001, 2), strikes=1) as hub, connected(hub) as client:
        await replies(client, 1)
        await say(client, *(publish(number) for number in range(2, 6)))
        found = await replies(client, 4)
        assert [found[number].get("error") for number in range(2, 6)] == [None, None, TOO_MANY, TOO_MANY]
        await say(client, publish(6))
        with pytest.raises(Disconnected) as end:
            await client.receive()
        assert (end.value.code, end.value.reason) == (3013, "too many requests")
        assert hub.stats.refused == {RefusalReason.RATE: 2}


async def test_a_client_may_ask_for_all_its_rooms_at_once() -> None:
    async with make_hub(messages=Rate(0.001, 1)) as hub, connected(hub) as client:
        await say(client, *({"id": n, "subscribe": {"channel": f"r{n}"}} for n in range(2, 130)))
        found = await replies(client, 129)
        assert [reply for reply in found.values() if "error" in reply] == []
        await say(client, *({"id": n, "ping": {}} for n in range(202, 300)))
        assert TOO_MANY in [reply.get("error") for reply in (await replies(client, 98)).values()]


async def test_a_command_without_a_number_that_is_too_much_is_a_strike_too() -> None:
    async with make_hub(messages=Rate(0.001, 1), strikes=1) as hub, connected(hub) as client:
        await say(client, publish(2))
        await replies(client, 2)
        for _ in range(2):
            await say(client, {"send": {"data": {}}})
        with pytest.raises(Disconnected) as end:
            await client.receive()
        assert end.value.code == 3013


async def test_a_user_with_too_many_connections_is_told_not_to_come_back() -> None:
    token = Tokens(SECRET).issue("ada")
    async with make_hub(connections_per_user=1) as hub, connected(hub, token) as first:
        await replies(first, 1)
        async with connected(hub, token) as second:
            with pytest.raises(Disconnected) as end:
                await second.receive()
            assert (end.value.code, end.value.reason) == (3504, "connection limit")
        assert hub.stats.refused == {RefusalReason.LIMIT: 1}
        async with connected(hub, Tokens(SECRET).issue("bob")) as other:
            await replies(other, 1)
        async with connected(hub) as anonymous:
            await replies(anonymous, 1)


async def test_a_client_that_subscribes_to_nothing_is_told_to_come_again() -> None:
    async with make_hub(idle_timeout=0.05) as hub, connected(hub) as client:
        await replies(client, 1)
        with pytest.raises(Disconnected) as end:
            await client.receive()
        assert end.value.code == 3011
