"""The ways of showing who one is to the tutorial's app, and what to show."""

import json
import time
from typing import Any

import httpx
import jwt
from server_process import ServerProcess
from socket_client import closed, opened

from hubbub.auth import Tokens

WAYS = ("subprotocol", "ticket", "query", "cookie", "first_message")
SINGLE = {"query": "/ws/query", "first_message": "/ws/secure", "cookie": "/ws/cookie"}

Shown = tuple[str, dict[str, Any], list[str]]
"""A path, the options of `connect`, and the first messages: one way of showing a token."""


def show(way: str, token: str, path: str = "/ws/me") -> Shown:
    """How a client shows a token."""
    if way == "subprotocol":
        return path, {"subprotocols": ["bearer", token]}, []
    if way == "cookie":
        return path, {"additional_headers": {"Cookie": f"session={token}"}}, []
    if way == "first_message":
        return path, {}, [json.dumps({"token": token})]
    return f"{path}?{httpx.QueryParams({'ticket' if way == 'ticket' else 'token': token})}", {}, []


class Mint:
    """Makes credentials, good and bad, and sees to it that none may be in the log."""

    def __init__(self, server: ServerProcess, secret: str) -> None:
        self.server = server
        self.key = secret
        self._tokens = Tokens(secret)

    async def ticket(self, user: str = "ada", **headers: str) -> str:
        """One from ``POST /ticket``, for the bearer of a token."""
        async with self.server.http() as http:
            answer = await http.post(
                "/ticket", headers={"Authorization": f"Bearer {self.token(user)}", **headers}
            )
        assert answer.status_code == 200
        assert list(answer.json()) == ["ticket"]
        return self.server.secret(answer.json()["ticket"])

    def token(self, user: str = "ada", **claims: object) -> str:
        """A valid one, unless the claims make it something else."""
        payload = {"sub": user, "exp": int(time.time()) + 600, **claims}
        kept = {name: value for name, value in payload.items() if value is not None}
        return self.server.secret(jwt.encode(kept, self.key, "HS256"))

    async def credentials(self, way: str, user: str = "ada") -> str:
        """A token, or a ticket where that is the way."""
        return await self.ticket(user) if way == "ticket" else self.token(user)


async def answer_to(server: ServerProcess, shown: Shown) -> tuple[list[str | bytes], int, str]:
    """All that a client hears, the close code and the reason."""
    path, options, first = shown
    async with opened(server, path, **options) as client:
        for message in first:
            await client.send(message)
        return await closed(client)
