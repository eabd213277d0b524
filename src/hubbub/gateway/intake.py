"""What a client of the protocol sends: how large, how often, and which commands are in it."""

from collections.abc import Iterable
from types import NoneType
from typing import Final

from hubbub.centrifuge.actions import Action
from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.errors import DisconnectCode, ErrorCode
from hubbub.centrifuge.requests import (
    Command,
    ConnectRequest,
    PingRequest,
    RefreshRequest,
    SubRefreshRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)
from hubbub.centrifuge.session import Session
from hubbub.core.errors import InvalidMessage, LimitReached
from hubbub.core.gate import Place
from hubbub.core.messages import Payload, payload_bytes
from hubbub.core.stats import RefusalReason, Stats
from hubbub.core.users import User
from hubbub.gateway.handlers import CommandFailed

_OF_THE_CONNECTION: Final = (
    ConnectRequest,
    SubscribeRequest,
    UnsubscribeRequest,
    RefreshRequest,
    SubRefreshRequest,
    PingRequest,
    NoneType,  # a pong
)
"""Requests with a rate of their own: a client that comes back asks for all its rooms at once."""


def is_too_large(session: Session, frame: Payload) -> bool:
    """Whether the frame is larger than what is taken now."""
    most = session.frame_limit
    return len(frame) > most // 4 and payload_bytes(frame) > most


def recognise(place: Place | None, user: User | None) -> None:
    """Count a connection for its user. Raises `CommandFailed` if the user has too many (3504)."""
    try:
        if place is not None and user is not None:
            place.recognise(user.id)
    except LimitReached:
        raise CommandFailed(DisconnectCode.CONNECTION_LIMIT.disconnect) from None


def take(
    session: Session, codec: Codec, frame: Payload, place: Place | None, stats: Stats, now: float
) -> tuple[list[Action], bool]:
    """Give a frame's commands to the session.

    A frame with commands over the rate is a strike: they are answered with 111, and after some strikes the
    connection is to be ended with 3013.

    Args:
        session: the client's.
        codec: its encoding.
        frame: what it sent.
        place: counts its commands; None where nobody does.
        stats: count refusals.
        now: the time, in seconds.

    Returns:
        what to do then, and whether it was one strike too many.
    """
    try:
        commands = codec.decode_commands(frame)
    except InvalidMessage as error:
        stats.refuse(error)
        return session.bad_request(), False
    if place is None:
        return session.receive(commands, now), False
    passed, refused = _sort(commands, place, now)
    actions = session.receive(passed, now)
    if not refused:
        return actions, False
    stats.refuse(RefusalReason.RATE)
    if not place.strike(now):
        return actions, True
    return actions + session.refuse(refused, ErrorCode.TOO_MANY_REQUESTS), False


def _sort(commands: Iterable[Command], place: Place, now: float) -> tuple[list[Command], list[Command]]:
    """Those that are within the rate, and those that are not."""
    passed: list[Command] = []
    refused: list[Command] = []
    for command in commands:
        spend = place.command if isinstance(command.request, _OF_THE_CONNECTION) else place.message
        (passed if spend(now) else refused).append(command)
    return passed, refused
