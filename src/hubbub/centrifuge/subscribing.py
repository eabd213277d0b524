"""How subscriptions begin, go on and end: by command, by token, by the server, or because of the time."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from hubbub.centrifuge import actions
from hubbub.centrifuge.actions import Answer, Done, Failed, GoLive, Refreshed, Subscribed
from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.dialogue import Dialogue
from hubbub.centrifuge.errors import Disconnect, DisconnectCode, ErrorCode, UnsubscribeCode
from hubbub.centrifuge.recovery import FOSSIL, begin, since, whole_seconds
from hubbub.centrifuge.requests import REJECT_UNRECOVERED, FilterNode, SubRefreshRequest, SubscribeRequest
from hubbub.centrifuge.results import (
    Push,
    Reply,
    SubRefreshResult,
    SubscribePush,
    SubscribeResult,
    UnsubscribePush,
    UnsubscribeResult,
)
from hubbub.centrifuge.subscriptions import Subscription, Subscriptions
from hubbub.centrifuge.tag_filters import compile_filter
from hubbub.core.errors import InvalidMessage
from hubbub.core.messages import Payload
from hubbub.core.positions import Position

Finish: TypeAlias = Callable[[Subscription, SubscribeResult, GoLive], None]
"""Tells the client that it is subscribed, and then has the channel go live."""

Refuse: TypeAlias = Callable[[Answer], None]
"""Tells the client that it is not subscribed."""


class Subscribing:
    """The subscriptions of one client. Commands come here when it is their turn in the channel's lane.

    Args:
        dialogue: takes what is said and asked.
        codec: the client's.
        limit: subscriptions it may have.
    """

    __slots__ = ("_codec", "_dialogue", "subscriptions")

    def __init__(self, dialogue: Dialogue, codec: Codec, limit: int) -> None:
        self._dialogue = dialogue
        self._codec = codec
        self.subscriptions = Subscriptions(limit)

    # Beginning

    def subscribe_command(self, number: int, request: SubscribeRequest) -> None:
        """The client wants to subscribe."""
        if request.delta not in ("", FOSSIL):
            self._dialogue.close(DisconnectCode.BAD_REQUEST.disconnect)
        elif request.type:  # a map or a shared poll
            self._dialogue.refuse(number, ErrorCode.NOT_AVAILABLE.error)
        elif request.tf is not None and not _well_formed(request.tf):
            self._dialogue.refuse(number, ErrorCode.BAD_REQUEST.error)
        else:
            refuse = partial(self._dialogue.fail, number)
            self.subscribe(request.channel, request, partial(self._replied, number), refuse)

    def subscribe_by_server(self, channel: str, position: Position | None, now: float) -> None:
        """The server subscribes the client, and tells it; `position` is where the client stands."""
        if self.subscriptions.full and self.subscriptions.get(channel) is None:
            self._dialogue.close(DisconnectCode.CHANNEL_LIMIT.disconnect)
            return
        request = SubscribeRequest(channel)
        if position is not None:
            request = SubscribeRequest(channel, recover=True, epoch=position.epoch, offset=position.offset)

        def begin(now: float) -> None:
            self.subscribe(channel, request, self._pushed, _unheard, server_side=True)

        if self.subscriptions.get(channel) is None:
            begin(now)  # not in its lane: a handler, for which a command there waits, may be who wants it
        else:
            self._dialogue.queue(channel, begin, now)

    def subscribe(
        self,
        channel: str,
        request: SubscribeRequest,
        finish: Finish,
        refuse: Refuse,
        *,
        server_side: bool = False,
    ) -> None:
        """Ask for a subscription; then `finish` or `refuse` is called."""
        place = self.subscriptions.reserve(channel, server_side=server_side)
        if isinstance(place, ErrorCode):
            refuse(Failed(place.error))
            return
        data = self._codec.extract_optional(request.data)
        call = partial(_call, channel, request, data, server_side)
        self._dialogue.ask(channel, call, partial(self._answered, place, request, finish, refuse))

    def _answered(
        self,
        place: Subscription,
        request: SubscribeRequest,
        finish: Finish,
        refuse: Refuse,
        answer: Answer,
        now: float,
    ) -> None:
        if not isinstance(answer, Subscribed):
            self.subscriptions.drop(place.channel)
            refuse(answer)
            return
        result, live = begin(place.channel, request, answer, self._codec)
        unrecovered = result.was_recovering and not result.recovered
        if answer.ttl is not None and answer.ttl <= 0:
            self.leave(place.channel)
            refuse(Failed(ErrorCode.EXPIRED.error))
        elif unrecovered and result.recoverable and request.flag & REJECT_UNRECOVERED:
            self.leave(place.channel)
            refuse(Failed(ErrorCode.UNRECOVERABLE_POSITION.error))
        else:
            place.client_refresh = answer.client_refresh
            place.server_refresh = answer.server_refresh
            place.join_leave = answer.join_leave
            place.prolong(answer.ttl, now)
            finish(place, result, live)

    def go_live(self, place: Subscription, live: GoLive) -> None:
        """The client has been told: its publications may come."""
        self.subscriptions.watch(place)
        self._dialogue.act(live)

    def _replied(self, number: int, place: Subscription, result: SubscribeResult, live: GoLive) -> None:
        self._dialogue.reply(Reply(number, subscribe=result))
        self.go_live(place, live)

    def _pushed(self, place: Subscription, result: SubscribeResult, live: GoLive) -> None:
        push = SubscribePush(result.recoverable, result.epoch, result.offset, result.positioned, result.data)
        self._dialogue.push(Push(place.channel, subscribe=push))
        for publication in result.publications:
            self._dialogue.push(Push(place.channel, publication))
        self.go_live(place, live)

    # Ending

    def unsubscribe_command(self, number: int, channel: str) -> None:
        """The client wants to leave. Leaving a channel that it is not in is no error."""
        reply = Reply(number, unsubscribe=UnsubscribeResult())
        if self.subscriptions.get(channel) is None:
            self._dialogue.reply(reply)
        else:
            self.leave(channel, done=lambda answer, _: self._dialogue.finish(answer, Done, reply))

    def unsubscribe(self, channel: str, code: UnsubscribeCode, now: float) -> None:
        """End a subscription and tell the client; one that is asked for now is ended after its reply."""
        if self.subscriptions.live(channel) is not None:
            self._end(channel, code)
        elif self.subscriptions.get(channel) is not None:
            self._dialogue.queue(channel, lambda _: self._end(channel, code), now)

    def insufficient(self, channel: str, now: float) -> None:
        """Publications were lost: the client has to come back, to the channel or altogether, and recover."""
        subscription = self.subscriptions.get(channel)
        if subscription is not None and subscription.server_side:
            self._dialogue.close(DisconnectCode.INSUFFICIENT_STATE.disconnect)
        else:
            self.unsubscribe(channel, UnsubscribeCode.INSUFFICIENT_STATE, now)

    def expire(self, now: float) -> None:
        """End the subscriptions for which no new token came in time, or ask whether they go on."""
        for subscription in self.subscriptions.ended(now):
            if subscription.server_refresh:
                subscription.ends = None  # until it is answered
                self._dialogue.queue(subscription.channel, partial(self._ask_to_go_on, subscription), now)
            elif subscription.server_side:
                self._dialogue.close(DisconnectCode.SUBSCRIPTION_EXPIRED.disconnect)
                return
            else:
                self._end(subscription.channel, UnsubscribeCode.EXPIRED)

    def _end(self, channel: str, code: UnsubscribeCode) -> None:
        if self.subscriptions.live(channel) is not None:
            self.leave(channel, code)
            self._dialogue.push(Push(channel, unsubscribe=UnsubscribePush(int(code), code.text)))

    def leave(self, channel: str, code: int = 0, done: Callable[[Answer, float], None] | None = None) -> None:
        """Have the client leave a channel; `done` is called when it has."""
        self.subscriptions.drop(channel)
        self._dialogue.ask(
            channel, lambda call: actions.Unsubscribe(call, channel, int(code)), done or _unheard
        )

    # Going on

    def refresh_command(self, number: int, request: SubRefreshRequest) -> None:
        """The client brings a new token."""
        subscription = self.subscriptions.live(request.channel)
        if subscription is None:
            self._dialogue.refuse(number, ErrorCode.PERMISSION_DENIED.error)
        elif request.type:  # tracking in a shared poll
            self._dialogue.refuse(number, ErrorCode.NOT_AVAILABLE.error)
        elif not subscription.client_refresh:
            self._dialogue.close(DisconnectCode.BAD_REQUEST.disconnect)
        elif not request.token:
            self._dialogue.refuse(number, ErrorCode.BAD_REQUEST.error)
        else:
            self._dialogue.ask(
                request.channel,
                lambda call: actions.SubRefresh(call, request.channel, request.token),
                partial(self._refreshed, number, subscription),
            )

    def _refreshed(self, number: int, subscription: Subscription, answer: Answer, now: float) -> None:
        if not isinstance(answer, Refreshed):
            self._dialogue.fail(number, answer)
        elif answer.ttl is not None and answer.ttl <= 0:
            self._dialogue.refuse(number, ErrorCode.EXPIRED.error)
        else:
            if self.subscriptions.live(subscription.channel) is subscription:  # else it ended meanwhile
                subscription.prolong(answer.ttl, now)
                self.subscriptions.watch(subscription)
            result = SubRefreshResult(answer.ttl is not None, whole_seconds(answer.ttl))
            self._dialogue.reply(Reply(number, sub_refresh=result))

    def _ask_to_go_on(self, subscription: Subscription, now: float) -> None:
        channel = subscription.channel
        if self.subscriptions.live(channel) is subscription:  # else it ended meanwhile
            call = partial(_renewal, channel)
            self._dialogue.ask(channel, call, partial(self._goes_on, subscription))

    def _goes_on(self, subscription: Subscription, answer: Answer, now: float) -> None:
        """The application was asked at the end of a subscription. Nobody hears of it unless it ends."""
        if self.subscriptions.live(subscription.channel) is not subscription:
            return
        if isinstance(answer, Refreshed) and (answer.ttl is None or answer.ttl > 0):
            subscription.prolong(answer.ttl, now)
            self.subscriptions.watch(subscription)
        elif isinstance(answer, Failed) and isinstance(answer.reason, Disconnect):
            self._dialogue.close(answer.reason)
        elif subscription.server_side:
            self._dialogue.close(DisconnectCode.SUBSCRIPTION_EXPIRED.disconnect)
        else:
            self._end(subscription.channel, UnsubscribeCode.EXPIRED)


def _renewal(channel: str, number: int) -> actions.SubRefresh:
    return actions.SubRefresh(number, channel, "")


def _well_formed(filter: FilterNode) -> bool:
    try:
        compile_filter(filter)
    except InvalidMessage:
        return False
    return True


def _call(
    channel: str, request: SubscribeRequest, data: Payload | None, server_side: bool, number: int
) -> actions.Subscribe:
    return actions.Subscribe(
        number,
        channel,
        token=request.token,
        data=data,
        since=since(request),
        positioned=request.positioned,
        recoverable=request.recoverable,
        join_leave=request.join_leave,
        tags_filter=request.tf,
        server_side=server_side,
    )


def _unheard(answer: Answer, now: float = 0.0) -> None:
    """Nobody waits for this answer."""
