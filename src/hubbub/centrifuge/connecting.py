"""The connection itself: who it is, how long it may last, whether it is still there."""

from enum import Enum
from functools import partial
from math import ceil
from typing import Final

import msgspec

from hubbub.centrifuge import actions
from hubbub.centrifuge.actions import Accepted, Answer, Failed, GoLive, Refreshed
from hubbub.centrifuge.codec import Codec, optional
from hubbub.centrifuge.dialogue import Dialogue
from hubbub.centrifuge.errors import Disconnect, DisconnectCode, ErrorCode
from hubbub.centrifuge.pulse import Beat, PingPong, earlier
from hubbub.centrifuge.recovery import whole_seconds
from hubbub.centrifuge.requests import ConnectRequest, RefreshRequest, SubscribeRequest
from hubbub.centrifuge.results import (
    ConnectResult,
    Push,
    RefreshPush,
    RefreshResult,
    Reply,
    SubscribeResult,
)
from hubbub.centrifuge.subscribing import Subscribing
from hubbub.centrifuge.subscriptions import Subscription
from hubbub.centrifuge.terms import Terms

LANE: Final = "\n"
"""The lane of what is asked about the connection; no channel has that name."""

LONGEST_NAME: Final = 16
LONGEST_VERSION: Final = 64
"""Characters of what a client calls itself; more is cut off."""

_UNKNOWN: Final = SubscribeRequest()  # a channel of which the client brings no position


class State(Enum):
    """How far the client has come."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"
    """Its connect command got an error: it may only go."""


NEW: Final = State.NEW  # each look at a member of an Enum takes Python 3.11 as long as 25 instructions
CONNECTING: Final = State.CONNECTING
CONNECTED: Final = State.CONNECTED
REFUSED: Final = State.REFUSED


class Connecting:
    """Authenticates, subscribes to what the token names, replies; later prolongs, pings, and ends.

    Args:
        dialogue: takes what is said and asked.
        codec: the client's.
        terms: the server's.
        subscribing: for the channels of the token.
        client: the client's id.
        session: a secret for other requests of the client.
        spread: 0 to 1: when the first ping comes.
        now: the time, in seconds.
    """

    __slots__ = (
        "_client",
        "_client_refresh",
        "_dialogue",
        "_ends",
        "_pulse",
        "_server_refresh",
        "_session",
        "_spread",
        "_subscribing",
        "_terms",
        "codec",
        "state",
    )

    def __init__(
        self,
        dialogue: Dialogue,
        codec: Codec,
        terms: Terms,
        subscribing: Subscribing,
        *,
        client: str,
        session: str,
        spread: float,
        now: float,
    ) -> None:
        self._dialogue = dialogue
        self.codec = codec
        self._terms = terms
        self._subscribing = subscribing
        self._client = client
        self._session = session
        self._spread = spread
        self.state: State = NEW
        self._client_refresh = False
        self._server_refresh = False
        # Until it is connected, the end of the patience with it; then that of its credentials.
        self._ends: float | None = now + terms.limits.first_message_timeout
        self._pulse: PingPong | None = None

    @property
    def due(self) -> float | None:
        """When to `advance`; None for never."""
        return self._ends if self._pulse is None else earlier(self._ends, self._pulse.next_look)

    def advance(self, now: float, *, deaf: bool) -> None:
        """Do what is due; `deaf` says that nothing is read from the client at the moment."""
        if self._ends is not None and now >= self._ends and self._server_refresh:
            self._ends = None  # until it is answered
            self._dialogue.queue(LANE, self._ask_to_go_on, now)
        elif self._ends is not None and now >= self._ends:
            code = DisconnectCode.EXPIRED if self.state is CONNECTED else DisconnectCode.STALE
            self._dialogue.close(code.disconnect)
        elif self._pulse is not None:
            beat = self._pulse.look(now, deaf=deaf)
            if beat is Beat.PING:
                self._dialogue.reply(Reply())
            elif beat is Beat.DEAD:
                self._dialogue.close(DisconnectCode.NO_PONG.disconnect)

    def pong(self) -> bool:
        """The client answered a ping; False if there was none to answer."""
        return self._pulse is not None and self._pulse.pong()

    # Connecting

    def connect(self, number: int, request: ConnectRequest) -> None:
        """The client's first command. A token longer than any first message is invalid (3500)."""
        self.state = CONNECTING
        if len(request.token) > self._terms.limits.first_message_bytes:
            self._dialogue.close(DisconnectCode.INVALID_TOKEN.disconnect)
            return
        data = self.codec.extract_optional(request.data)
        self._dialogue.ask(
            LANE,
            lambda call: actions.Authenticate(
                call,
                request.token,
                data,
                request.name[:LONGEST_NAME],
                request.version[:LONGEST_VERSION],
                request.headers,
            ),
            partial(self._authenticated, number, request),
        )

    def _authenticated(self, number: int, request: ConnectRequest, answer: Answer, now: float) -> None:
        if not isinstance(answer, Accepted):
            self._refuse(number, answer)
        elif answer.ttl is not None and answer.ttl <= 0:
            self._refuse(number, Failed(ErrorCode.EXPIRED.error))
        elif len(set(answer.channels)) > self._terms.limits.rooms_per_connection:
            self._dialogue.close(DisconnectCode.CHANNEL_LIMIT.disconnect)
        else:
            arrival = _Arrival(number, request, answer, now, {name for name in answer.channels if name})
            if arrival.missing:
                self._subscribe(arrival)
            else:
                self._arrive(arrival)

    def _subscribe(self, arrival: "_Arrival") -> None:
        """Subscribe to all channels of the token. When the last of them is answered, the client is."""
        for channel in sorted(arrival.missing):
            known = arrival.request.subs.get(channel, _UNKNOWN)
            request = SubscribeRequest(
                channel, recover=known.recover, epoch=known.epoch, offset=known.offset, delta=known.delta
            )
            finish, refuse = partial(self._subscribed, arrival), partial(self._unsubscribed, arrival, channel)
            self._subscribing.subscribe(channel, request, finish, refuse, server_side=True)

    def _subscribed(
        self, arrival: "_Arrival", place: Subscription, result: SubscribeResult, live: GoLive
    ) -> None:
        arrival.begun[place.channel] = (place, result, live)
        self._settle(arrival, place.channel)

    def _unsubscribed(self, arrival: "_Arrival", channel: str, answer: Answer) -> None:
        arrival.failure = arrival.failure or answer
        self._settle(arrival, channel)

    def _settle(self, arrival: "_Arrival", channel: str) -> None:
        arrival.missing.discard(channel)
        if arrival.missing:
            return
        if arrival.failure is None:
            self._arrive(arrival)
            return
        for begun in arrival.begun:
            self._subscribing.leave(begun)
        self._refuse(arrival.number, arrival.failure)

    def _arrive(self, arrival: "_Arrival") -> None:
        """Reply, and only then have the channels go live."""
        accepted, terms = arrival.accepted, self._terms
        refresh = self._client_refresh = accepted.client_refresh
        self._server_refresh = accepted.server_refresh
        result = ConnectResult(
            self._client,
            terms.version,
            refresh and accepted.ttl is not None,
            whole_seconds(accepted.ttl) if refresh else 0,
            optional(self.codec, accepted.data),
            {channel: result for channel, (_, result, _) in arrival.begun.items()},
            ceil(terms.heartbeat.interval) if terms.heartbeat else 0,
            terms.heartbeat is not None,
            self._session,
            terms.node,
        )
        self.state = CONNECTED
        self._ends = self._end(accepted.ttl, arrival.now)
        if terms.heartbeat is not None:
            self._pulse = PingPong(terms.heartbeat, arrival.now, self._spread)
        self._dialogue.reply(Reply(arrival.number, connect=result))
        for place, _, live in arrival.begun.values():
            self._subscribing.go_live(place, live)

    def _refuse(self, number: int, answer: Answer) -> None:
        """Say why it may not connect. It gets an error (109: with a new token it may), or is sent away."""
        self.state = REFUSED
        if isinstance(answer, Failed) and answer.reason == ErrorCode.UNAUTHORIZED.error:
            self._dialogue.close(DisconnectCode.INVALID_TOKEN.disconnect)
        else:
            self._dialogue.fail(number, answer)

    # Expiring

    def refresh_command(self, number: int, request: RefreshRequest, now: float) -> None:
        """The client brings a new token; one that may not, or brings none, is sent away (3501)."""
        if not request.token or not self._client_refresh:
            self._dialogue.close(DisconnectCode.BAD_REQUEST.disconnect)
            return
        self._dialogue.queue(LANE, lambda _: self._ask_refresh(number, request.token), now)

    def refresh_by_server(self, ttl: float | None, now: float) -> None:
        """The server prolongs the connection, and tells the client."""
        if ttl is not None and ttl <= 0:
            self._dialogue.close(DisconnectCode.EXPIRED.disconnect)
            return
        self._ends = self._end(ttl, now)
        self._dialogue.push(Push(refresh=RefreshPush(ttl is not None, whole_seconds(ttl))))

    def _ask_refresh(self, number: int, token: str) -> None:
        self._dialogue.ask(LANE, lambda call: actions.Refresh(call, token), partial(self._refreshed, number))

    def _refreshed(self, number: int, answer: Answer, now: float) -> None:
        expired = (ErrorCode.TOKEN_EXPIRED.error, ErrorCode.EXPIRED.error)
        if isinstance(answer, Failed) and answer.reason in expired:
            self._dialogue.close(DisconnectCode.EXPIRED.disconnect)
        elif isinstance(answer, Failed) and answer.reason == ErrorCode.UNAUTHORIZED.error:
            self._dialogue.close(DisconnectCode.INVALID_TOKEN.disconnect)
        elif not isinstance(answer, Refreshed):
            self._dialogue.fail(number, answer)
        elif answer.ttl is not None and answer.ttl <= 0:
            self._dialogue.refuse(number, ErrorCode.EXPIRED.error)
        else:
            self._ends = self._end(answer.ttl, now)
            result = RefreshResult(expires=answer.ttl is not None, ttl=whole_seconds(answer.ttl))
            self._dialogue.reply(Reply(number, refresh=result))

    def _ask_to_go_on(self, now: float) -> None:
        self._dialogue.ask(LANE, lambda call: actions.Refresh(call, ""), self._goes_on)

    def _goes_on(self, answer: Answer, now: float) -> None:
        """The application was asked at the end of the credentials. Nobody hears of it unless it ends."""
        if isinstance(answer, Refreshed) and (answer.ttl is None or answer.ttl > 0):
            self._ends = self._end(answer.ttl, now)
        elif isinstance(answer, Failed) and isinstance(answer.reason, Disconnect):
            self._dialogue.close(answer.reason)
        else:
            self._dialogue.close(DisconnectCode.EXPIRED.disconnect)

    def _end(self, ttl: float | None, now: float) -> float | None:
        """When it ends, unless it is prolonged; who can bring a new token gets some time for that."""
        if ttl is None:
            return None
        return now + ttl + (self._terms.refresh_grace if self._client_refresh else 0.0)


class _Arrival(msgspec.Struct, eq=False):
    """A client that was let in, but whose token's channels are not all subscribed to yet."""

    number: int
    request: ConnectRequest
    accepted: Accepted
    now: float  # when it was let in
    missing: set[str]
    begun: dict[str, tuple[Subscription, SubscribeResult, GoLive]] = {}
    failure: Answer | None = None
