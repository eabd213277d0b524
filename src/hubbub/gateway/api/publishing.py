"""The methods that publish."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from hubbub.centrifuge.errors import ErrorCode
from hubbub.core.messages import Payload
from hubbub.gateway.api.payloads import read_payload
from hubbub.gateway.api.refusals import need, refuse
from hubbub.gateway.api.requests import BroadcastRequest, PublishRequest
from hubbub.gateway.api.results import BroadcastResult, PublishResult, Response
from hubbub.hub import Hub

AT_ONCE: Final = 128
"""Publications of one broadcast that are with the broker at the same time."""

Known: TypeAlias = Callable[[str], bool]
"""Whether a channel may be published to: one whose name fits no pattern is unknown."""

Attempt: TypeAlias = Callable[[Awaitable[PublishResult]], Awaitable[Response]]
"""Makes a response of a result, or of what was raised."""


class Publishing:
    """``publish`` and ``broadcast``.

    Args:
        hub: on which is published.
        known: tells unknown channels.
        attempt: for each channel of a broadcast.
    """

    __slots__ = ("_attempt", "_hub", "_known")

    def __init__(self, hub: Hub, known: Known, attempt: Attempt) -> None:
        self._hub = hub
        self._known = known
        self._attempt = attempt

    async def publish(self, request: PublishRequest) -> PublishResult:
        """Publish in one channel; 107 without channel or data, 102 for an unknown channel."""
        return await self._publish(request.channel, self._data(request), request)

    async def broadcast(self, request: BroadcastRequest) -> BroadcastResult:
        """Publish in several; what goes wrong in one is told in its place."""
        data = self._data(request)
        channels = request.channels
        if not channels:
            refuse(ErrorCode.BAD_REQUEST)
        responses: list[Response] = []
        for start in range(0, len(channels), AT_ONCE):
            some = [
                self._attempt(self._publish(channel, data, request))
                for channel in channels[start : start + AT_ONCE]
            ]
            responses += await asyncio.gather(*some)
        return BroadcastResult(responses)

    def _data(self, request: PublishRequest | BroadcastRequest) -> Payload:
        if request.version:
            refuse(ErrorCode.NOT_AVAILABLE)
        data = read_payload(request.data, request.b64data)
        return refuse(ErrorCode.BAD_REQUEST) if data is None else data

    async def _publish(
        self, channel: str, data: Payload, request: PublishRequest | BroadcastRequest
    ) -> PublishResult:
        need(channel)
        self._hub.limits.check_room_name(channel)
        if not self._known(channel):
            refuse(ErrorCode.UNKNOWN_CHANNEL)
        key, tags = request.idempotency_key or None, request.tags or None
        if request.skip_history:
            broker = self._hub.parts.broker
            publication = await broker.publish(channel, data, tags=tags, idempotency_key=key)
        else:
            publication = await self._hub.broadcast_to_room(channel, data, tags=tags, idempotency_key=key)
        position = publication.position
        return PublishResult(position.offset, position.epoch) if position is not None else PublishResult()
