"""Why a client of the protocol was refused, for the hub's figures."""

from typing import Final

from hubbub.centrifuge.errors import DisconnectCode, ErrorCode
from hubbub.core.stats import RefusalReason, Stats
from hubbub.gateway.handlers import CommandFailed

_REASONS: Final[dict[int, RefusalReason]] = {
    ErrorCode.UNAUTHORIZED: RefusalReason.TOKEN,
    ErrorCode.TOKEN_EXPIRED: RefusalReason.TOKEN,
    ErrorCode.EXPIRED: RefusalReason.TOKEN,
    DisconnectCode.INVALID_TOKEN: RefusalReason.TOKEN,
    ErrorCode.PERMISSION_DENIED: RefusalReason.PERMISSION,
    DisconnectCode.PERMISSION_DENIED: RefusalReason.PERMISSION,
    ErrorCode.LIMIT_EXCEEDED: RefusalReason.LIMIT,
    DisconnectCode.CONNECTION_LIMIT: RefusalReason.LIMIT,
    ErrorCode.TOO_MANY_REQUESTS: RefusalReason.RATE,
    DisconnectCode.TOO_MANY_REQUESTS: RefusalReason.RATE,
    ErrorCode.BAD_REQUEST: RefusalReason.MESSAGE,
    DisconnectCode.BAD_REQUEST: RefusalReason.MESSAGE,
}


def count_refusal(stats: Stats, error: BaseException) -> None:
    """Count what an error refuses; nothing for one that refuses nobody."""
    if isinstance(error, CommandFailed):
        reason = _REASONS.get(error.reason.code)
        if reason is not None:
            stats.refuse(reason)
    else:
        stats.refuse(error)
