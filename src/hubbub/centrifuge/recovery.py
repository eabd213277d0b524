"""How a subscription begins: what its reply says, and what the client gets first."""

from collections.abc import Sequence
from itertools import pairwise

from hubbub.centrifuge.actions import NO_DELTA, DeltaState, GoLive, Subscribed
from hubbub.centrifuge.codec import Codec, optional
from hubbub.centrifuge.requests import FilterNode, SubscribeRequest
from hubbub.centrifuge.results import ChannelPublication, SubscribeResult
from hubbub.centrifuge.tag_filters import compile_filter
from hubbub.core.messages import Publication
from hubbub.core.positions import Position

FOSSIL = "fossil"
"""The one kind of delta there is."""

MAX_TTL = 365 * 24 * 3600
"""Seconds: the longest time to live that is told."""


def since(request: SubscribeRequest) -> Position | None:
    """Where the client stands; None if it does not want what came after."""
    return Position(request.epoch, request.offset) if request.recover else None


def begin(
    channel: str, request: SubscribeRequest, answer: Subscribed, codec: Codec
) -> tuple[SubscribeResult, GoLive]:
    """The result of a subscribe command, and how the channel goes live after it.

    With ``recovered`` the publications are all that the client missed, but for what was erased. If there are
    some, the offset is the client's own: it advances with each of them. Otherwise it is the newest. Never a
    part.
    """
    position = answer.position
    # The publication before, which a delta needs, may be one that a filter keeps from the client.
    delta = answer.delta and request.delta == FOSSIL and position is not None and request.tf is None
    missed = _missed(request, answer)
    publications = wanted(missed or (), request.tf)
    offset = request.offset if missed else position.offset if position else 0
    result = SubscribeResult(
        expires=answer.client_refresh and answer.ttl is not None,
        ttl=whole_seconds(answer.ttl) if answer.client_refresh else 0,
        recoverable=answer.recoverable and position is not None,
        epoch=position.epoch if position else "",
        publications=_embedded(publications, codec, delta=delta),
        recovered=missed is not None,
        offset=offset,
        positioned=position is not None,
        data=optional(codec, answer.data),
        was_recovering=request.recover,
        delta=delta,
    )
    # A delta is based on the room's newest publication. The client has it if it is in the reply; none may be
    # there, and the newest may have been erased.
    has_newest = bool(publications) and publications[-1].position == position
    state = NO_DELTA if not delta else DeltaState.READY if has_newest else DeltaState.EMPTY
    return result, GoLive(channel, position, state, answer.join_leave, request.tf)


def wanted(publications: Sequence[Publication], filter: FilterNode | None) -> Sequence[Publication]:
    """Those whose tags fit; all of them without a filter."""
    if filter is None or not publications:
        return publications
    fits = compile_filter(filter)
    return [publication for publication in publications if fits(publication.tags or {})]


def _embedded(
    publications: Sequence[Publication], codec: Codec, *, delta: bool
) -> Sequence[ChannelPublication]:
    if not publications:
        return ()
    if delta:
        return codec.delta_publications(publications)
    return [codec.channel_publication(publication) for publication in publications]


def whole_seconds(ttl: float | None) -> int:
    """A time to live as it travels: 0 stands for no end, so it is 1 at least."""
    return 0 if ttl is None else max(1, min(int(ttl), MAX_TTL))


def _missed(request: SubscribeRequest, answer: Subscribed) -> Sequence[Publication] | None:
    """What the client missed; None if that cannot be had, or was not asked for."""
    position, publications = answer.position, answer.publications
    if not request.recover or not answer.recoverable or position is None:
        return None
    if answer.cache:
        return _newest(Position(request.epoch, request.offset), position, publications or ())
    if publications is None or request.epoch not in ("", position.epoch):
        return None
    offsets = [one.position.offset for one in publications if one.position is not None]
    fits = all(before < after for before, after in pairwise((request.offset, *offsets, position.offset + 1)))
    return publications if fits else None


def _newest(
    client: Position, position: Position, publications: Sequence[Publication]
) -> Sequence[Publication] | None:
    """In cache mode: the newest that is kept, unless the client has it; None if none is.

    A client whose position is yet to come, as after a broker's loss, has it not.
    """
    if client.offset and client == position:
        return ()
    newest = publications[-1].position if publications else None
    if newest is None:
        return None
    has_it = (
        client.offset and client.epoch == position.epoch and newest.offset <= client.offset <= position.offset
    )
    return () if has_it else publications[-1:]
