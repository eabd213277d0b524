"""How the hub ends a connection by itself: the close code and reason, by cause."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from hubbub.core.errors import CloseCode

Ending: TypeAlias = tuple[int, str]
"""A close code and its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """What a kind of client is told. Protocols with close codes of their own have their own."""

    slow: Ending = (CloseCode.TRY_AGAIN_LATER, "too slow")
    """It does not read fast enough."""

    silent: Ending = (CloseCode.INTERNAL_ERROR, "heartbeat timeout")
    """It did not answer the heartbeat."""

    stopping: Ending = (CloseCode.GOING_AWAY, "server stopping")
    """The hub ends."""

    unwanted: Ending = (CloseCode.POLICY_VIOLATION, "disconnected")
    """Its user is disconnected."""

    flooding: Ending = (CloseCode.POLICY_VIOLATION, "too many messages")
    """It sends more than it may, and goes on."""

    idle: Ending = (CloseCode.POLICY_VIOLATION, "in no room")
    """It has never been in a room."""

    expired: Ending | None = (CloseCode.TOKEN_EXPIRED, "token expired")
    """Its user's credentials have ended; None where somebody else sees to that."""


PLAIN_ENDINGS: Final = Endings()
