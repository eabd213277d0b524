"""Any order of commands, answers, time and the server's deeds: what a session owes its client is kept."""

import json

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hubbub.centrifuge import actions, requests
from hubbub.centrifuge.errors import DisconnectCode, ErrorCode, UnsubscribeCode, error_for
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.protobuf_codec import PROTOBUF_CODEC
from hubbub.centrifuge.results import ClientInfo, Push, Reply
from hubbub.centrifuge.session import Session
from hubbub.centrifuge.terms import Terms
from hubbub.core.errors import HistoryGone
from hubbub.core.limits import Limits
from hubbub.core.messages import Json, Publication
from hubbub.core.positions import Position

RAW = st.sampled_from([requests.NOTHING, msgspec.Raw(b"null"), msgspec.Raw(b'{"a":\n1}')])
CHANNEL = st.sampled_from(["a", "b", "c"])
WORD = st.sampled_from(["", "x"])
NAME = CHANNEL | st.sampled_from(["a", "b", "", "not a name"])
EPOCH = st.sampled_from(["", "e", "f"])
OFFSET = st.integers(0, 6)
TTL = st.sampled_from([None, 30.0] + [300.0] * 12 + [0.0])
RARELY = st.sampled_from([False] * 15 + [True])

SUBSCRIBE = st.builds(
    requests.SubscribeRequest,
    channel=CHANNEL,
    token=WORD,
    recover=st.booleans(),
    epoch=EPOCH,
    offset=OFFSET,
    data=RAW,
    delta=st.sampled_from(["", "", "fossil"]),
    tf=st.sampled_from([None, None, requests.FilterNode(key="k", cmp="eq", val="v"), requests.FilterNode()]),
    flag=st.integers(0, 3),
)
ABOUT_CHANNELS = (
    SUBSCRIBE
    | st.builds(requests.UnsubscribeRequest, channel=CHANNEL)
    | st.builds(requests.PublishRequest, channel=CHANNEL, data=RAW)
    | st.builds(requests.PresenceRequest, channel=CHANNEL)
    | st.builds(requests.PresenceStatsRequest, channel=CHANNEL)
    | st.builds(
        requests.HistoryRequest,
        channel=CHANNEL,
        limit=st.integers(-1, 3),
        since=st.none() | st.builds(requests.StreamPosition, offset=OFFSET, epoch=EPOCH),
        reverse=st.booleans(),
    )
    | SUBSCRIBE
)
OTHERS = st.builds(requests.RpcRequest, data=RAW) | st.just(requests.PingRequest())
ODD = (
    st.builds(
        requests.SubscribeRequest, channel=NAME, delta=st.just("odd") | st.just(""), type=st.integers(0, 1)
    )
    | st.builds(requests.PublishRequest, channel=NAME, data=RAW, type=st.integers(0, 1))
    | st.builds(requests.RefreshRequest, token=WORD)
    | st.builds(requests.SubRefreshRequest, channel=CHANNEL, token=WORD)
    | st.builds(requests.SendRequest, data=RAW)
    | st.builds(requests.ConnectRequest, token=WORD)
    | st.none()
)
FIELD = {
    requests.ConnectRequest: "connect",
    requests.SubscribeRequest: "subscribe",
    requests.UnsubscribeRequest: "unsubscribe",
    requests.PublishRequest: "publish",
    requests.PresenceRequest: "presence",
    requests.PresenceStatsRequest: "presence_stats",
    requests.HistoryRequest: "history",
    requests.PingRequest: "ping",
    requests.SendRequest: "send",
    requests.RpcRequest: "rpc",
    requests.RefreshRequest: "refresh",
    requests.SubRefreshRequest: "sub_refresh",
}


def publications(position: Position | None, count: int) -> list[Publication]:
    if position is None:
        return []
    first = max(0, position.offset - count) + 1
    return [
        Publication("r", Json(f'{{"n": {offset}}}'), 0.0, Position(position.epoch, offset))
        for offset in range(first, position.offset + 1)
    ]


@st.composite
def subscribed(draw: st.DrawFn) -> actions.Subscribed:
    position = draw(st.none() | st.builds(Position, epoch=st.sampled_from(["e", "f"]), offset=OFFSET))
    count = draw(st.none() | st.integers(0, 6))
    return actions.Subscribed(
        position,
        draw(st.booleans()),
        None if count is None else publications(position, count),
        draw(st.booleans()),
        draw(TTL),
        draw(st.booleans()),
        draw(st.none() | st.just("welcome")),
        draw(st.booleans()),
        draw(st.booleans()),
    )


FAILED = st.builds(
    actions.Failed,
    st.sampled_from([code.error for code in ErrorCode])
    | st.just(DisconnectCode.PERMISSION_DENIED.disconnect)
    | st.just(error_for(HistoryGone())),
)
FITTING = {
    actions.Authenticate: st.builds(
        actions.Accepted,
        ttl=TTL,
        client_refresh=st.booleans(),
        data=st.none() | st.just(b"\xff"),
        channels=st.just([]) | st.lists(CHANNEL, max_size=3),
    ),
    actions.Subscribe: subscribed(),
    actions.Presence: st.just(actions.Present({"c": ClientInfo("u", "c")})),
    actions.PresenceStats: st.just(actions.Counted(1, 1)),
    actions.History: st.just(actions.Page(publications(Position("e", 3), 2), Position("e", 3))),
    actions.Rpc: st.builds(actions.Returned, st.none() | st.just("data")),
    actions.Refresh: st.builds(actions.Refreshed, TTL),
    actions.SubRefresh: st.builds(actions.Refreshed, TTL),
}
DONE = st.just(actions.Done())


class SessionMachine(RuleBasedStateMachine):
    """Keeps the books of what the client has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        limits = Limits(rooms_per_connection=2, inbox_messages=3)
        self.session = Session("client", JSON_CODEC, Terms(limits=limits), self.now)
        self.asked: dict[int, requests.Request | None] = {}  # commands without a reply
        self.calls: dict[int, actions.Call] = {}
        self.last_id = self.last_call = 0
        self.told: set[str] = set()  # channels that the client was told it subscribes to
        self.live: set[str] = set()
        self.ended = False

    # What happens

    @initialize(rarely=RARELY, data=st.data())
    def connect(self, rarely: bool, data: st.DataObject) -> None:
        if not rarely:
            self.command(requests.ConnectRequest())
            self.answer_all(data)
            self.answer_all(data)  # the subscriptions of the token

    @rule(wanted=st.lists(ABOUT_CHANNELS | OTHERS, min_size=1, max_size=4))
    def commands(self, wanted: list[requests.Request]) -> None:
        for request in wanted:
            self.command(request)

    @rule(request=ODD, numbered=st.booleans(), rarely=RARELY)
    def odd_command(self, request: requests.Request | None, numbered: bool, rarely: bool) -> None:
        if rarely:  # most of these end the session
            self.command(request, numbered=numbered)

    def command(self, request: requests.Request | None, *, numbered: bool = True) -> None:
        if numbered:
            self.last_id += 1
        number = self.last_id if numbered else 0
        command = requests.Command(number, **({FIELD[type(request)]: request} if request else {}))
        if number and not self.ended and not isinstance(request, requests.SendRequest):
            self.asked[number] = request
        self.look(self.session.receive([command], self.now))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), rarely=RARELY)
    def answer(self, data: st.DataObject, rarely: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.calls)))
        kind = FAILED | DONE if rarely else FITTING.get(type(self.calls[number]), DONE)
        self.answered(number, data.draw(kind))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def answer_all(self, data: st.DataObject) -> None:
        for number in sorted(self.calls):
            self.answered(number, data.draw(FITTING.get(type(self.calls[number]), DONE)))

    def answered(self, number: int, answer: actions.Answer) -> None:
        del self.calls[number]
        self.look(self.session.answer(number, answer, self.now))

    @rule(number=st.integers(-1, 3))
    def answer_nobody_waits_for(self, number: int) -> None:
        if number not in self.calls:
            assert self.session.answer(number, actions.Done(), self.now) == []

    @rule(seconds=st.sampled_from([0.0, 1.0, 9.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.session.due) is not None and due <= end:
            self.now = max(self.now, due)
            returned = self.session.advance(self.now)
            self.look(returned)
            if actions.Send(Reply()) in returned:
                self.command(None, numbered=False)  # the pong
            assert self.session.due is None or self.session.due > self.now, "due again at once"
        self.now = end

    @rule(channel=CHANNEL, code=st.sampled_from(UnsubscribeCode))
    def server_unsubscribes(self, channel: str, code: UnsubscribeCode) -> None:
        self.look(self.session.unsubscribe(channel, self.now, code))

    @rule(channel=CHANNEL, position=st.none() | st.builds(Position, epoch=st.just("e"), offset=OFFSET))
    def server_subscribes(self, channel: str, position: Position | None) -> None:
        obstacle = self.session.obstacle(channel)
        if channel in self.told and not self.ended:
            assert obstacle is ErrorCode.ALREADY_SUBSCRIBED
        if len(self.told) < 2:
            returned = self.session.subscribe(channel, self.now, position=position)
            if obstacle is None and self.session.connected:
                (asked,) = returned  # at once, whatever the channel's commands wait for
                assert isinstance(asked, actions.Subscribe)
                assert asked.server_side
            self.look(returned)

    @rule(channel=CHANNEL, seldom=st.sampled_from([False, False, False, True]))
    def publications_are_lost(self, channel: str, seldom: bool) -> None:
        if seldom:
            self.look(self.session.insufficient(channel, self.now))

    @rule(channel=CHANNEL, info=st.just(ClientInfo("u", "c")))
    def others_come_and_go(self, channel: str, info: ClientInfo) -> None:
        self.look(self.session.joined(channel, info) + self.session.left(channel, info))

    @rule(ttl=TTL)
    def server_prolongs(self, ttl: float | None) -> None:
        if ttl is None or ttl > 0:
            self.look(self.session.refresh(ttl, self.now))

    @rule(how=st.integers(0, 2), rarely=RARELY)
    def the_end(self, how: int, rarely: bool) -> None:
        if not rarely:
            return
        if how == 0:
            self.look(self.session.disconnect(DisconnectCode.SHUTDOWN.disconnect))
        elif how == 1:
            self.look(self.session.bad_request())
        else:
            self.look(self.session.lost())
            self.end()

    # What has to hold

    def look(self, returned: list[actions.Action]) -> None:
        for place, action in enumerate(returned):
            if self.ended:
                assert isinstance(action, actions.Unsubscribe)
                assert action.call == 0
            elif isinstance(action, actions.Send):
                self.look_at_reply(action.reply)
            elif isinstance(action, actions.GoLive):
                assert action.channel in self.told - self.live, "live before its reply, or twice"
                self.live.add(action.channel)
            elif isinstance(action, actions.Close):
                assert place == len(returned) - 1
                self.end()
            else:
                self.look_at_call(action)

    def look_at_reply(self, reply: Reply) -> None:
        json.loads(JSON_CODEC.encode_reply(reply))
        PROTOBUF_CODEC.encode_reply(reply)
        if reply.push is not None:
            self.look_at_push(reply.push)
        elif reply != Reply():
            request = self.asked.pop(reply.id)  # one reply for each command
            if isinstance(request, requests.SubscribeRequest):
                self.look_at_subscription(request.channel, reply)
        if reply.connect is not None:
            self.told.update(reply.connect.subs)

    def look_at_subscription(self, channel: str, reply: Reply) -> None:
        if reply.error is None:
            assert channel not in self.told
            self.told.add(channel)
        elif reply.error == ErrorCode.ALREADY_SUBSCRIBED.error:
            assert channel in self.told

    def look_at_push(self, push: Push) -> None:
        if push.subscribe is not None:
            assert push.channel not in self.told
            self.told.add(push.channel)
        elif push.channel:
            assert push.channel in self.told, "a push before the reply that subscribed"
        if push.unsubscribe is not None:
            assert push.channel not in self.live, "the client is told while it is live"
            self.told.discard(push.channel)

    def look_at_call(self, call: actions.Action) -> None:
        assert isinstance(call, actions.Call)
        assert call.call == self.last_call + 1
        self.last_call = call.call
        if isinstance(call, actions.Subscribe):
            asked = {one.channel for one in self.calls.values() if isinstance(one, actions.Subscribe)}
            assert len(self.told | asked | {call.channel}) <= 2, "more channels than allowed"
        if not isinstance(call, actions.Unsubscribe):
            channel = getattr(call, "channel", None)
            others = [other for other in self.calls.values() if getattr(other, "channel", "") == channel]
            if getattr(call, "server_side", False):
                others = [other for other in others if isinstance(other, actions.Subscribe)]
            assert not others
        self.calls[call.call] = call
        if isinstance(call, actions.Unsubscribe):
            self.live.discard(call.channel)
            if not call.code:
                self.told.discard(call.channel)

    def end(self) -> None:
        self.ended = True
        self.asked.clear()

    @invariant()
    def the_session_knows_its_end(self) -> None:
        assert self.session.closed == self.ended

    @invariant()
    def who_was_told_of_a_subscription_is_live(self) -> None:
        assert self.ended or self.told == self.live

    def teardown(self) -> None:
        """Every call is answered at last: then every command has its reply, or the session has ended."""
        while self.calls:
            number = min(self.calls)
            call = self.calls.pop(number)
            if self.ended and isinstance(call, actions.Subscribe):
                returned = self.session.answer(number, actions.Subscribed(), self.now)
                assert returned == [actions.Unsubscribe(0, call.channel)]
            else:
                self.look(self.session.answer(number, actions.Failed(ErrorCode.INTERNAL.error), self.now))
        if not self.session.connected:  # what came with a connect command that was refused is dropped
            self.time_passes(20.0)
        assert not self.asked


SessionMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSession = SessionMachine.TestCase
