"""What a driver of a session looks at: its limits, its times, and what it can do with the codec."""

import msgspec
import pytest

from hubbub.centrifuge import actions
from hubbub.centrifuge.actions import Accepted, Authenticate, Close, Done, Publish, Send, Subscribed
from hubbub.centrifuge.dialogue import MOST_WAITING
from hubbub.centrifuge.errors import DisconnectCode
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.protobuf_codec import PROTOBUF_CODEC
from hubbub.centrifuge.requests import Command, ConnectRequest, PublishRequest, RpcRequest, SubscribeRequest
from hubbub.centrifuge.session import Session
from hubbub.centrifuge.terms import Terms
from hubbub.core.errors import InvalidRoomName
from hubbub.core.heartbeat import Heartbeat
from hubbub.core.limits import Limits
from hubbub.core.messages import Publication
from hubbub.core.positions import Position

CONNECT = Command(1, connect=ConnectRequest())


def rpcs(count: int) -> list[Command]:
    return [Command(number, rpc=RpcRequest()) for number in range(2, count + 2)]


def connected(**terms: object) -> Session:
    session = Session("c", JSON_CODEC, Terms(**terms), 0.0)  # type: ignore[arg-type]
    session.receive([CONNECT], 0.0)
    session.answer(1, Accepted(), 0.0)
    assert session.connected
    return session


def test_before_it_is_connected_only_smaller_frames_are_read() -> None:
    limits = Limits(rooms_per_connection=4)
    session = Session("c", JSON_CODEC, Terms(limits=limits), 0.0)
    assert session.frame_limit == 8_192 + 4 * (255 + 128)
    session.receive([CONNECT], 0.0)
    assert session.frame_limit < 10_000
    session.answer(1, Accepted(), 0.0)
    assert session.frame_limit == 65_536


def test_a_client_can_bring_its_positions_in_all_channels_it_may_have() -> None:
    names = [f"{number:0>255}" for number in range(128)]
    subs = {name: SubscribeRequest(recover=True, epoch="e" * 20, offset=2**40) for name in names}
    request = Command(1, connect=ConnectRequest("t" * 8_192, subs=subs))
    assert len(msgspec.json.encode(request)) < Session("c", JSON_CODEC, Terms(), 0.0).frame_limit


@pytest.mark.parametrize("rooms", [128, 1_000])
def test_a_client_can_connect_and_subscribe_to_all_channels_it_may_have_in_one_frame(rooms: int) -> None:
    """As the JavaScript SDK does, whenever it connects."""
    session = Session("c", JSON_CODEC, Terms(limits=Limits(rooms_per_connection=rooms)), 0.0)
    lines = [f'{{"id":{n},"subscribe":{{"channel":"room{n}"}}}}' for n in range(2, rooms + 2)]
    session.receive(JSON_CODEC.decode_commands("\n".join(['{"id":1,"connect":{}}', *lines])), 0.0)
    _, *followed = session.answer(1, Accepted(), 0.0)
    assert [type(action) for action in followed] == [actions.Subscribe] * rooms


def test_a_session_with_many_open_commands_is_busy() -> None:
    session = connected(limits=Limits(inbox_messages=3))
    session.receive(rpcs(2), 0.0)
    assert not session.busy
    session.receive(rpcs(1), 0.0)
    assert session.busy
    session.answer(2, actions.Returned(), 0.0)
    assert not session.busy


def test_what_waits_for_the_connect_reply_counts() -> None:
    session = Session("c", JSON_CODEC, Terms(limits=Limits(inbox_messages=3)), 0.0)
    session.receive([CONNECT, *rpcs(2)], 0.0)
    assert session.busy


@pytest.mark.parametrize("early", [False, True])
def test_a_client_that_is_read_although_it_is_busy_is_closed_at_last(early: bool) -> None:
    session = Session("c", JSON_CODEC, Terms(), 0.0) if early else connected()
    if early:
        session.receive([CONNECT], 0.0)
    *_, last = session.receive(rpcs(MOST_WAITING + 2), 0.0)
    assert last == Close(DisconnectCode.TOO_MANY_REQUESTS.disconnect)


def test_due_is_the_first_of_all_that_can_happen() -> None:
    session = Session("c", JSON_CODEC, Terms(heartbeat=Heartbeat(20, 5)), 100.0, spread=0.0)
    assert session.due == 110.0  # stale
    session.receive([CONNECT], 101.0)
    session.answer(1, Accepted(ttl=50.0, client_refresh=True), 102.0)
    assert session.due == 112.0  # the first ping, after half an interval
    session.advance(112.0)
    assert session.due == 117.0  # the pong
    session.disconnect(DisconnectCode.SHUTDOWN.disconnect)
    assert session.due is None


def test_nothing_is_done_too_early() -> None:
    session = Session("c", JSON_CODEC, Terms(), 0.0)
    assert session.advance(9.99) == []


def test_the_first_ping_is_spread_over_half_an_interval() -> None:
    for spread, due in ((0.0, 12.5), (1.0, 25.0)):
        session = Session("c", JSON_CODEC, Terms(), 0.0, spread=spread)
        session.receive([CONNECT], 0.0)
        session.answer(1, Accepted(), 0.0)
        assert session.due == due


def test_the_server_says_which_names_can_be() -> None:
    def only_personal(name: str) -> None:
        if not name.startswith("#"):
            raise InvalidRoomName("no")

    session = connected(check_channel=only_personal)
    publish = [
        Command(2, publish=PublishRequest(name, data=JSON_CODEC.embed("1"))) for name in ("#7", "chat")
    ]
    asked, refused = session.receive(publish, 0.0)
    assert isinstance(asked, Publish)
    assert isinstance(refused, Send)


def test_a_session_for_other_requests_has_a_secret() -> None:
    session = Session("c", JSON_CODEC, Terms(node="n"), 0.0, session="secret")
    session.receive([CONNECT], 0.0)
    (sent,) = session.answer(1, Accepted(), 0.0)
    assert isinstance(sent, Send)
    assert sent.reply.connect is not None
    assert (sent.reply.connect.session, sent.reply.connect.node) == ("secret", "n")


def test_a_protobuf_client_gets_bytes_as_they_are() -> None:
    session = Session("c", PROTOBUF_CODEC, Terms(), 0.0)
    request = SubscribeRequest("chat", recover=True, data=PROTOBUF_CODEC.embed(b"\xff"))
    (asked,) = session.receive([CONNECT, Command(2, subscribe=request)], 0.0)
    assert isinstance(asked, Authenticate)
    *_, subscribe = session.answer(1, Accepted(data=b"\xfe"), 0.0)
    assert isinstance(subscribe, actions.Subscribe)
    assert subscribe.data == b"\xff"
    missed = [Publication("chat", b"\x00\x01", 0.0, Position("e", 1))]
    sent, _ = session.answer(2, Subscribed(Position("e", 1), True, missed), 0.0)
    assert isinstance(sent, Send)
    assert sent.reply.subscribe is not None
    assert bytes(sent.reply.subscribe.publications[0].data) == b"\x00\x01"


def test_answers_to_calls_that_nobody_made_are_ignored() -> None:
    session = connected()
    assert session.answer(99, Done(), 0.0) == []
    assert session.answer(1, Accepted(), 0.0) == []


def test_a_channel_without_a_name_in_a_token_is_skipped() -> None:
    session = Session("c", JSON_CODEC, Terms(), 0.0)
    session.receive([CONNECT], 0.0)
    (asked,) = session.answer(1, Accepted(channels=("", "news")), 0.0)
    assert isinstance(asked, actions.Subscribe)
    assert asked.channel == "news"
