"""The commands about channels: each is carried out when it is its turn in the channel's lane."""

from functools import partial

from hubbub.centrifuge import actions
from hubbub.centrifuge.actions import Answer, Counted, Done, Page, Present
from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.dialogue import Dialogue
from hubbub.centrifuge.errors import DisconnectCode, ErrorCode, error_for
from hubbub.centrifuge.requests import (
    ChannelRequest,
    HistoryRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    SubRefreshRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)
from hubbub.centrifuge.results import (
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    PublishResult,
    Reply,
)
from hubbub.centrifuge.subscribing import Subscribing
from hubbub.centrifuge.terms import Terms
from hubbub.core.errors import HubbubError, InvalidMessage
from hubbub.core.positions import Position


class ChannelCommands:
    """Sorts the commands about channels, and carries out those that are not about subscribing.

    Args:
        dialogue: takes what is said and asked.
        codec: the client's.
        terms: the server's.
        subscribing: for the others.
    """

    __slots__ = ("_codec", "_dialogue", "_subscribing", "_terms")

    def __init__(self, dialogue: Dialogue, codec: Codec, terms: Terms, subscribing: Subscribing) -> None:
        self._dialogue = dialogue
        self._codec = codec
        self._terms = terms
        self._subscribing = subscribing

    def command(self, number: int, request: ChannelRequest, now: float) -> None:
        """Carry out a command. One without a name is malformed (3501); a name that cannot be is refused."""
        if not request.channel:
            self._dialogue.close(DisconnectCode.BAD_REQUEST.disconnect)
            return
        try:
            self._terms.check(request.channel)
        except HubbubError as error:
            self._dialogue.refuse(number, error_for(error))
            return
        self._dialogue.queue(request.channel, partial(self._start, number, request), now)

    def _start(self, number: int, request: ChannelRequest, now: float) -> None:
        if isinstance(request, PublishRequest):
            self._publish(number, request)
            return
        if isinstance(request, SubscribeRequest):
            self._subscribing.subscribe_command(number, request)
            return
        match request:
            case UnsubscribeRequest():
                self._subscribing.unsubscribe_command(number, request.channel)
            case SubRefreshRequest():
                self._subscribing.refresh_command(number, request)
            case HistoryRequest():
                self._history(number, request)
            case PresenceRequest():
                self._presence(number, request.channel)
            case PresenceStatsRequest():
                self._presence_stats(number, request.channel)

    def _publish(self, number: int, request: PublishRequest) -> None:
        if request.type:  # into a map
            self._dialogue.refuse(number, ErrorCode.NOT_AVAILABLE.error)
            return
        try:
            data = self._codec.extract(request.data)
        except InvalidMessage as error:
            self._dialogue.refuse(number, error_for(error))
            return
        reply = Reply(number, publish=PublishResult())
        self._dialogue.ask(
            request.channel,
            lambda call: actions.Publish(call, request.channel, data),
            lambda answer, _: self._dialogue.finish(answer, Done, reply),
        )

    def _history(self, number: int, request: HistoryRequest) -> None:
        position = Position(request.since.epoch, request.since.offset) if request.since else None
        if request.reverse and position is not None and not position.offset:
            self._dialogue.refuse(number, ErrorCode.BAD_REQUEST.error)
            return
        most = self._terms.history_limit
        limit = request.limit if 0 <= request.limit <= most else most
        self._dialogue.ask(
            request.channel,
            lambda call: actions.History(call, request.channel, position, limit, request.reverse),
            lambda answer, _: self._page(number, answer),
        )

    def _page(self, number: int, answer: Answer) -> None:
        if not isinstance(answer, Page):
            self._dialogue.fail(number, answer)
            return
        publications = [self._codec.channel_publication(one) for one in answer.publications]
        result = HistoryResult(publications, answer.position.epoch, answer.position.offset)
        self._dialogue.reply(Reply(number, history=result))

    def _presence(self, number: int, channel: str) -> None:
        def answered(answer: Answer, now: float) -> None:
            if isinstance(answer, Present):
                self._dialogue.reply(Reply(number, presence=PresenceResult(answer.clients)))
            else:
                self._dialogue.fail(number, answer)

        self._dialogue.ask(channel, lambda call: actions.Presence(call, channel), answered)

    def _presence_stats(self, number: int, channel: str) -> None:
        def answered(answer: Answer, now: float) -> None:
            if isinstance(answer, Counted):
                result = PresenceStatsResult(answer.clients, answer.users)
                self._dialogue.reply(Reply(number, presence_stats=result))
            else:
                self._dialogue.fail(number, answer)

        self._dialogue.ask(channel, lambda call: actions.PresenceStats(call, channel), answered)
