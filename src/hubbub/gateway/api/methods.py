"""All methods by their names."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, ItemsView, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from hubbub.centrifuge.errors import ClientError, ErrorCode, error_for
from hubbub.centrifuge.json_text import check_depth
from hubbub.centrifuge.results import Result
from hubbub.core.errors import BrokerError, HistoryGone, HubbubError, InvalidMessage
from hubbub.gateway.api import requests
from hubbub.gateway.api.bodies import decode_body
from hubbub.gateway.api.channels import Channels
from hubbub.gateway.api.publishing import Known, Publishing
from hubbub.gateway.api.requests import Request
from hubbub.gateway.api.results import ApiError, Response
from hubbub.gateway.api.users import Users
from hubbub.gateway.everywhere import Everywhere
from hubbub.gateway.handlers import CommandFailed
from hubbub.hub import Hub

MAX_COMMANDS: Final = 1_000
"""Requests in one batch."""

AT_ONCE: Final = 64
"""Requests of a parallel batch that are carried out at the same time."""

BROKER_AWAY: Final = "the broker did not answer, or refused: the log of the server says why"
"""What a backend is told with code 100. Clients are told the fixed text only."""

Reply = Mapping[str, ApiError | Result | None]
"""An answer in a batch: the result beside the method's name, or the error beside ``error``."""

R = TypeVar("R", bound=Request)
_logger = logging.getLogger("hubbub")
_batches: Final = msgspec.json.Decoder(requests.BatchRequest)


@dataclass(frozen=True, slots=True)
class Method:
    """One of them."""

    request: type[Request]
    result: type[Result]
    call: Callable[[bytes], Awaitable[Result]]
    """Carries out a request in JSON. Raises `msgspec.DecodeError` if it is not of the request's shape."""

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (self.request.__doc__ or "").partition("\n")[0]


class Methods:
    """Carries out requests.

    Args:
        hub: whose rooms and clients they are about.
        everywhere: acts on all nodes.
        known: tells channels that there are not.
        version: the server's, for ``info``.
    """

    __slots__ = ("_table",)

    def __init__(self, hub: Hub, everywhere: Everywhere, known: Known, version: str = "") -> None:
        publishing = Publishing(hub, known, self.attempt)
        channels = Channels(hub, everywhere, known, version)
        users = Users(everywhere, known, hub.limits)
        self._table: dict[str, Method] = {
            "publish": _method(requests.PublishRequest, publishing.publish),
            "broadcast": _method(requests.BroadcastRequest, publishing.broadcast),
            "subscribe": _method(requests.SubscribeRequest, users.subscribe),
            "unsubscribe": _method(requests.UnsubscribeRequest, users.unsubscribe),
            "disconnect": _method(requests.DisconnectRequest, users.disconnect),
            "refresh": _method(requests.RefreshRequest, users.refresh),
            "presence": _method(requests.ChannelRequest, channels.presence),
            "presence_stats": _method(requests.ChannelRequest, channels.presence_stats),
            "history": _method(requests.HistoryRequest, channels.history),
            "history_erase": _method(requests.HistoryEraseRequest, channels.history_erase),
            "history_remove": _method(requests.ChannelRequest, channels.history_remove),
            "channels": _method(requests.ChannelsRequest, channels.channels),
            "info": _method(requests.InfoRequest, channels.info),
            "connections": _method(requests.ConnectionsRequest, users.connections),
            "block_user": _method(requests.BlockUserRequest, users.block_user),
            "unblock_user": _method(requests.UnblockUserRequest, users.unblock_user),
            "revoke_token": _method(requests.RevokeTokenRequest, users.revoke_token),
            "invalidate_user_tokens": _method(
                requests.InvalidateUserTokensRequest, users.invalidate_user_tokens
            ),
        }

    def __contains__(self, method: str) -> bool:
        return method in self._table

    def items(self) -> ItemsView[str, Method]:
        """All by their names."""
        return self._table.items()

    async def call(self, method: str, body: bytes) -> Response:
        """Carry out one request.

        Raises:
            msgspec.DecodeError: if the body is no JSON, or not of the request's shape.
            InvalidMessage: if it is nested too deeply.
            KeyError: if there is no such method.
        """
        return await self.attempt(self._table[method].call(body))

    async def batch(self, body: bytes) -> list[Reply]:
        """Carry out several, one after the other unless they are ``parallel``. Raises like `call`.

        A request that is malformed is answered so in its place (107), an unknown method with 104.
        """
        batch = decode_body(_batches, body)
        if len(batch.commands) > MAX_COMMANDS:
            raise InvalidMessage("Too many commands")
        if not batch.parallel:
            return [await self._reply(command) for command in batch.commands]
        replies: list[Reply] = []
        for start in range(0, len(batch.commands), AT_ONCE):
            some = batch.commands[start : start + AT_ONCE]
            replies += await asyncio.gather(*map(self._reply, some))
        return replies

    async def _reply(self, command: Mapping[str, msgspec.Raw]) -> Reply:
        method = next((name for name in command if name in self._table), None)
        if method is None:
            return {"error": ApiError.of(ErrorCode.METHOD_NOT_FOUND.error)}
        try:
            response = await self.call(method, bytes(command[method]))
        except (msgspec.DecodeError, InvalidMessage):
            return {"error": ApiError.of(ErrorCode.BAD_REQUEST.error)}
        if response.error is not None:
            return {"error": response.error}
        return {method: response.result}

    async def attempt(self, work: Awaitable[Result]) -> Response:
        """The result of a method, or what its failure is called. Malformed requests are not its failure."""
        try:
            return Response(result=await work)
        except msgspec.DecodeError:
            raise
        except Exception as error:  # noqa: BLE001 - of whatever kind: a backend gets an answer
            return Response(error=_explain(error))


def _method(kind: type[R], perform: Callable[[R], Awaitable[Result]]) -> Method:
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

    async def call(body: bytes) -> Result:
        return await perform(decode_body(decoder, body))

    return Method(kind, get_type_hints(perform)["return"], call)


def _explain(error: Exception) -> ApiError:
    if isinstance(error, CommandFailed) and isinstance(error.reason, ClientError):
        return ApiError.of(error.reason)
    if isinstance(error, BrokerError) and not isinstance(error, HistoryGone):
        _logger.error("a request of the API failed: %s: %s", type(error).__name__, error)
        return ApiError(int(ErrorCode.INTERNAL), BROKER_AWAY)
    if not isinstance(error, HubbubError):
        _logger.error("a request of the API failed", exc_info=error)
    reason = error_for(error)
    return ApiError.of(reason if isinstance(reason, ClientError) else ErrorCode.INTERNAL.error)


def check_body(body: bytes) -> None:
    """Refuse what is no UTF-8, or is nested too deeply. Raises `InvalidMessage`."""
    try:
        check_depth(body.decode())
    except UnicodeDecodeError as error:
        raise InvalidMessage("Not UTF-8") from error
