"""The official Python SDK, with its events in a queue."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from centrifuge import Client, ClientEventHandler, Subscription, SubscriptionEventHandler
from polling import eventually
from server_process import ServerProcess

from hubbub.auth import Tokens

SECRET = "a secret of the gateway's tests only"
ENDPOINT = "/connection/websocket"
TOKENS = Tokens(SECRET)
NUMBERS = itertools.count()

Server: TypeAlias = ServerProcess


def token(user: str, *, ttl: float = 3_600.0, **claims: object) -> str:
    """A connection token, or with `channel` one for a subscription."""
    return TOKENS.issue(user, ttl=ttl, claims=claims)


def room(kind: str) -> str:
    """A room of its own for one test."""
    return f"{kind}:{next(NUMBERS)}"


class Events:
    """What an SDK object told, in its order."""

    def __init__(self) -> None:
        self._told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def next(self, kind: str, seconds: float = 10.0) -> Any:
        """The next event of this kind; others before it are passed over."""
        async with asyncio.timeout(seconds):
            while True:
                told, context = await self._told.get()
                if told == kind:
                    return context

    def waiting(self, kind: str) -> list[Any]:
        """Events of this kind that came already; all others are forgotten."""
        found = []
        while not self._told.empty():
            told, context = self._told.get_nowait()
            if told == kind:
                found.append(context)
        return found


def _collecting(base: type) -> Any:
    """A handler class of the SDK's, all of whose methods put what they are told into the queue."""

    def teller(name: str) -> Any:
        async def tell(self: Any, ctx: Any) -> None:
            self._told.put_nowait((name.removeprefix("on_"), ctx))

        return tell

    methods = {name: teller(name) for name in vars(base) if name.startswith("on_")}
    return type(f"Collecting{base.__name__}", (Events, base), methods)


ClientEvents = _collecting(ClientEventHandler)
RoomEvents = _collecting(SubscriptionEventHandler)


class Guest:
    """One client of the SDK."""

    def __init__(self, url: str, *, protobuf: bool, **options: Any) -> None:
        self.protobuf = protobuf
        self.events = ClientEvents()
        self.sdk = Client(
            url,
            events=self.events,
            use_protobuf=protobuf,
            min_reconnect_delay=0.05,
            max_reconnect_delay=0.2,
            **options,
        )

    async def enter(self, room: str, **options: Any) -> tuple[Subscription, Events, Any]:
        """Subscribe; returns the subscription, its events, and how it began."""
        events = RoomEvents()
        subscription = self.sdk.new_subscription(room, events=events, **options)
        await subscription.subscribe()
        return subscription, events, await events.next("subscribed")

    def data(self, text: str) -> Any:
        """JSON text as this client's calls take and give it."""
        return text.encode() if self.protobuf else json.loads(text)


@asynccontextmanager
async def guest(
    server: Server,
    user: str | None = "ada",
    *,
    protobuf: bool = False,
    ready: bool = True,
    **options: Any,
) -> AsyncIterator[Guest]:
    """A connected client; without a user an anonymous one; with `ready` off one that may not succeed."""
    if user is not None and "token" not in options and "get_token" not in options:
        options["token"] = server.secret(token(user))
    one = Guest(server.ws(ENDPOINT), protobuf=protobuf, **options)
    await one.sdk.connect()
    try:
        if ready:
            await one.sdk.ready()
        yield one
    finally:
        await one.sdk.disconnect()
        await eventually(lambda: not one.sdk._background_tasks)  # they close the socket
