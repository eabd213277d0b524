"""Clients of the official Python SDK that write down all they are told. The SDK resumes by itself."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
from centrifuge import (
    Client,
    ClientEventHandler,
    ConnectedContext,
    PublicationContext,
    StreamPosition,
    SubscribedContext,
    SubscribingContext,
    SubscriptionEventHandler,
    UnsubscribedContext,
)
from delivery_logs import ClientLog, Joined, Place, Received
from members import Data
from polling import eventually

ENDPOINT = "/connection/websocket"

LINK_LOST = 1
"""The SDK's code for a subscription that waits because the connection is gone."""


class SdkMember(ClientEventHandler, SubscriptionEventHandler):
    """One client in one room.

    Args:
        base: where the server is, like ``ws://127.0.0.1:8000``.
        room: what it subscribes to.
        name: for the checker's words.
        protobuf: whether it speaks protobuf, else JSON.
        token: says who it is; empty for nobody.
        room_token: lets it into the room; empty for none.
        state: tells where the state that it begins with stands; None for one that has not been there.
        ping_delay: seconds that a ping of the server's may be late.
    """

    def __init__(
        self,
        base: str,
        room: str,
        name: str = "sdk",
        *,
        protobuf: bool = False,
        token: str = "",
        room_token: str = "",
        state: Callable[[], Awaitable[Place]] | None = None,
        ping_delay: float = 10.0,
    ) -> None:
        self.base = base
        self.log = ClientLog(f"{name} ({'protobuf' if protobuf else 'JSON'})", room)
        self.place: Place | None = None
        self.pid = 0
        self.losses = 0
        self.refusals: list[int] = []
        """The codes with which it was kept out of the room."""

        self._protobuf = protobuf
        self._token = token
        self._room_token = room_token
        self._state = state
        self._ping_delay = ping_delay
        self._states = 0  # how often it had to ask since it came
        self._joined = asyncio.Event()
        self._leaves = False
        self._sdk: Client | None = None

    @property
    def online(self) -> bool:
        """Whether it has joined, and the connection stands."""
        return self._joined.is_set()

    async def come(self, seconds: float = 20.0) -> None:
        """Connect, again and again if need be, and wait until it has joined."""
        await self.knock()
        try:
            await asyncio.wait_for(self._joined.wait(), seconds)
        except TimeoutError:
            raise AssertionError(f"{self.log.client} has not joined within {seconds} s") from None

    async def knock(self) -> None:
        """Connect and ask to be let in, without waiting for an answer."""
        self._leaves = False
        if self._sdk is None:
            self._sdk = Client(
                self.base + ENDPOINT,
                events=self,
                token=self._token,
                use_protobuf=self._protobuf,
                min_reconnect_delay=0.05,
                max_reconnect_delay=1.0,
                max_server_ping_delay=self._ping_delay,
                proxy=None,
            )
            subscription = self._sdk.new_subscription(
                self.log.room,
                events=self,
                token=self._room_token,
                get_state=None if self._state is None else self._load,
                min_resubscribe_delay=0.05,
                max_resubscribe_delay=1.0,
            )
            await subscription.subscribe()
        await self._sdk.connect()

    async def go(self) -> None:
        """Vanish until it comes again, with the position it has."""
        self._leaves = True
        self._joined.clear()
        if self._sdk is not None:
            sdk = self._sdk
            await sdk.disconnect()
            await eventually(lambda: not sdk._background_tasks)  # they close the socket

    async def again(self) -> None:
        """Go, forget everything, and come as if for the first time; perhaps to another process."""
        await self.go()
        self._sdk, self.place = None, None
        self.log.events.clear()
        await self.come()

    async def _load(self, channel: str) -> StreamPosition:
        assert self._state is not None
        self._states += 1
        place = await self._state()
        self.place = place
        return StreamPosition(place.offset, place.epoch)

    async def on_connected(self, ctx: ConnectedContext) -> None:
        """The server says which process it is."""
        said = ctx.data if isinstance(ctx.data, dict) else msgspec.json.decode(ctx.data or b"{}")
        self.pid = said.get("pid", 0)

    async def on_subscribing(self, ctx: SubscribingContext) -> None:
        """It is not in the room any more, or not yet."""
        self.losses += self.online and ctx.code == LINK_LOST and not self._leaves
        self._joined.clear()

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        """It may not be in the room."""
        self.refusals.append(ctx.code)
        self._joined.clear()

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        """It is in the room; what it missed follows, if it was recovered."""
        assert ctx.stream_position is not None, f"{self.log.room} has no positions"
        place = Place(ctx.stream_position.epoch, ctx.stream_position.offset)
        # With a state of its own, it is told by being asked for a new one.
        recovered = ctx.recovered and self._states <= 1 if ctx.was_recovering else None
        self.log.events.append(Joined(time.monotonic(), place, recovered))
        self.place, self._states = place, 0
        self._joined.set()

    async def on_publication(self, ctx: PublicationContext) -> None:
        """A publication of the room."""
        assert self.place is not None
        data = (
            msgspec.json.decode(ctx.pub.data, type=Data)
            if self._protobuf
            else msgspec.convert(ctx.pub.data, Data)
        )
        place = Place(self.place.epoch, ctx.pub.offset)
        self.log.events.append(Received(time.monotonic(), place, data.room, data.publisher, data.sequence))
        self.place = place
