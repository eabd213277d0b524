"""Plain clients go with their tokens and their users, as those of the protocol do, on all nodes."""

import asyncio
import time
from contextlib import suppress

import cent
import jwt
import pytest
from api_servers import Cluster, api
from gateway_sdk import SECRET, Server, room, token
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.asyncio

REFUSED = ('{"type":"error","msg":"Unauthorized"}', 1008)


async def knock(server: Server, path: str) -> tuple[str, int | None]:
    """What a plain client is told first, and the code with which it is closed; None if it is not."""
    async with connect(server.ws(path), proxy=None) as one:
        told = str(await one.recv())
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(5 if told.startswith("{") else 0.05):
                await one.recv()
        return told, one.close_code


async def ended(one: ClientConnection) -> tuple[int | None, str | None]:
    """How a plain client was closed."""
    with pytest.raises(ConnectionClosed):
        await one.recv()
    return one.close_code, one.close_reason


async def ask_who(server: Server, shown: str) -> str:
    """The answer to an HTTP request with a token."""
    async with server.http() as http:
        return (await http.get("/who", headers={"authorization": f"Bearer {shown}"})).text


async def test_a_plain_client_goes_with_its_token_and_its_user(api_cluster: Cluster) -> None:
    backend, user, now = api(api_cluster.near), room("user"), int(time.time())
    bad, good = token(user, jti=f"bad {user}"), token(user, jti=f"good {user}")
    old = jwt.encode({"sub": user, "exp": now + 60, "iat": now - 100}, SECRET)
    near, far = api_cluster.near, api_cluster.far
    paths = {shown: f"/authenticated?token={far.secret(shown)}" for shown in (bad, old, good)}
    named = f"/named?user={user}"
    async with (
        connect(far.ws(paths[bad]), proxy=None) as first,
        connect(far.ws(paths[old]), proxy=None) as second,
        connect(far.ws(paths[good]), proxy=None) as third,
        connect(far.ws(named), proxy=None) as fourth,
    ):
        for one in (first, second, third, fourth):
            assert await one.recv() in (user, "in")
        backend.revoke_token(cent.RevokeTokenRequest(uid=f"bad {user}"))
        assert await ended(first) == (1008, "invalid token")
        backend.invalidate_user_tokens(cent.InvalidateUserTokensRequest(user=user, issued_before=now - 10))
        assert await ended(second) == (1008, "invalid token")
        for server in (near, far):
            for shown in (bad, old):
                assert await knock(server, paths[shown]) == REFUSED
                assert await ask_who(server, shown) == "Unauthorized"
            assert await knock(server, paths[good]) == (user, None)
            assert await ask_who(server, good) == user
        backend.block_user(cent.BlockUserRequest(user=user))
        for one in (third, fourth):
            assert await ended(one) == (1008, "permission denied")
        for server in (near, far):
            assert await knock(server, paths[good]) == REFUSED
            assert await knock(server, named) == REFUSED


async def test_who_came_without_a_token_stays_when_tokens_are_invalidated(api_cluster: Cluster) -> None:
    backend, user = api(api_cluster.near), room("user")
    shown = api_cluster.far.secret(token(user))
    async with (
        connect(api_cluster.far.ws(f"/named?user={user}"), proxy=None) as by_session,
        connect(api_cluster.far.ws(f"/authenticated?token={shown}"), proxy=None) as by_token,
    ):
        for one in (by_session, by_token):
            await one.recv()
        request = cent.InvalidateUserTokensRequest(user=user, issued_before=int(time.time()) + 60)
        backend.invalidate_user_tokens(request)
        assert await ended(by_token) == (1008, "invalid token")
        assert (await knock(api_cluster.far, f"/named?user={user}"))[1] is None
        assert by_session.close_code is None
