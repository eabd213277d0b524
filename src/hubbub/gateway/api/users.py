"""The methods about users: their connections, on all nodes, and what they may no longer."""

import time

from hubbub.centrifuge.errors import DisconnectCode, ErrorCode
from hubbub.core.limits import Limits
from hubbub.gateway.api.payloads import read_payload
from hubbub.gateway.api.publishing import Known
from hubbub.gateway.api.refusals import need, refuse
from hubbub.gateway.api.requests import (
    BlockUserRequest,
    ConnectionsRequest,
    DisconnectRequest,
    InvalidateUserTokensRequest,
    RefreshRequest,
    RevokeTokenRequest,
    SubscribeRequest,
    UnblockUserRequest,
    UnsubscribeRequest,
)
from hubbub.gateway.api.results import ConnectionInfo, ConnectionsResult, ConnectionState, Done, TokenInfo
from hubbub.gateway.everywhere import Everywhere
from hubbub.gateway.surveys import FoundConnection
from hubbub.gateway.user_commands import (
    DisconnectUser,
    RefreshUser,
    SubscribeUser,
    Target,
    UnsubscribeUser,
    pack,
)

_DONE = Done()


class Users:
    """Acts on the clients of users.

    Args:
        everywhere: does it on all nodes.
        known: tells unknown channels.
        limits: for names.
    """

    __slots__ = ("_everywhere", "_known", "_limits")

    def __init__(self, everywhere: Everywhere, known: Known, limits: Limits) -> None:
        self._everywhere = everywhere
        self._known = known
        self._limits = limits

    async def subscribe(self, request: SubscribeRequest) -> Done:
        """Have the user's clients of the protocol in a channel, as long as they are connected."""
        target = _target(request)
        self._check(request.channel)
        since = request.recover_since
        command = SubscribeUser(
            target,
            request.channel,
            pack(read_payload(request.info, request.b64info)),
            pack(read_payload(request.data, request.b64data)),
            _future(request.expire_at),
            (since.epoch, since.offset) if since is not None else None,
            request.override.options if request.override is not None else {},
        )
        await self._everywhere.tell(command)
        return _DONE

    async def unsubscribe(self, request: UnsubscribeRequest) -> Done:
        """Take them out; they are told of it."""
        target = _target(request)
        self._check(request.channel)
        await self._everywhere.tell(UnsubscribeUser(target, request.channel))
        return _DONE

    async def disconnect(self, request: DisconnectRequest) -> Done:
        """End all of the user's connections, or those that are named; 107 for a code that may not be sent."""
        target, given = _target(request), request.disconnect
        reason = DisconnectCode.FORCE_NO_RECONNECT.disconnect
        code, text = (given.code, given.reason) if given is not None else (reason.code, reason.reason)
        if not 3_000 <= code <= 4_999:
            refuse(ErrorCode.BAD_REQUEST)
        await self._everywhere.tell(DisconnectUser(target, code, text, request.whitelist))
        return _DONE

    async def refresh(self, request: RefreshRequest) -> Done:
        """Prolong them; without `expire_at` for ever."""
        target = _target(request)
        expire_at = None if request.expired else _future(request.expire_at)
        await self._everywhere.tell(RefreshUser(target, expire_at, request.expired))
        return _DONE

    async def connections(self, request: ConnectionsRequest) -> ConnectionsResult:
        """The user's connections on all nodes; 108 for expressions, which are not understood."""
        if request.expression:
            refuse(ErrorCode.NOT_AVAILABLE)
        need(request.user)
        found = await self._everywhere.surveys.connections(request.user)
        return ConnectionsResult({one.id: _connection_info(one) for one in found})

    # Blocking and revoking

    async def block_user(self, request: BlockUserRequest) -> Done:
        """End the user's connections, and take no new ones."""
        need(request.user)
        await self._everywhere.revocations.block(request.user, _future(request.expire_at))
        return _DONE

    async def unblock_user(self, request: UnblockUserRequest) -> Done:
        """Let the user in again."""
        need(request.user)
        await self._everywhere.revocations.unblock(request.user)
        return _DONE

    async def revoke_token(self, request: RevokeTokenRequest) -> Done:
        """End what came with the token, and take it no more."""
        need(request.uid)
        await self._everywhere.revocations.revoke(request.uid, _future(request.expire_at))
        return _DONE

    async def invalidate_user_tokens(self, request: InvalidateUserTokensRequest) -> Done:
        """The same for all tokens of a user, issued before now or another time."""
        need(request.user)
        before = request.issued_before or time.time()
        expires = _future(request.expire_at)
        await self._everywhere.revocations.invalidate(request.user, request.channel, before, expires)
        return _DONE

    def _check(self, channel: str) -> None:
        need(channel)
        self._limits.check_room_name(channel)
        if not self._known(channel):
            refuse(ErrorCode.UNKNOWN_CHANNEL)


def _target(
    request: SubscribeRequest | UnsubscribeRequest | DisconnectRequest | RefreshRequest,
) -> Target:
    """Whom a request is about. Somebody anonymous has to be named by a client id or a session."""
    need(request.user or request.client or request.session)
    return Target(request.user, request.client, request.session)


def _future(expire_at: float) -> float | None:
    """A time that has to be still to come; None for none. 107 if it is past."""
    if not expire_at:
        return None
    return expire_at if expire_at > time.time() else refuse(ErrorCode.BAD_REQUEST)


def _connection_info(one: FoundConnection) -> ConnectionInfo:
    state = ConnectionState(
        dict.fromkeys(one.rooms, _DONE),
        _token_info(one.token) if one.token is not None else None,
        {room: _token_info(token) for room, token in one.room_tokens.items()},
    )
    return ConnectionInfo(one.transport, one.protocol, *one.app, one.user, state)


def _token_info(token: tuple[str, float | None]) -> TokenInfo:
    uid, issued = token
    return TokenInfo(uid, int(issued or 0))
