"""Credentials at whose end the application is asked whether the client goes on, instead of the client."""

import pytest

from hubbub.centrifuge import actions
from hubbub.centrifuge.actions import Accepted, Action, Answer, Close, Failed, Refreshed, Send, Subscribed
from hubbub.centrifuge.errors import Disconnect, DisconnectCode, ErrorCode, UnsubscribeCode
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.requests import Command, ConnectRequest, SubscribeRequest
from hubbub.centrifuge.results import Push, UnsubscribePush
from hubbub.centrifuge.session import Session
from hubbub.centrifuge.terms import Terms

BANNED = Disconnect(4501, "banned")
NEVER: list[Answer] = [
    Failed(ErrorCode.EXPIRED.error),
    Failed(ErrorCode.INTERNAL.error),
    Refreshed(0.0),
    Refreshed(-1.0),
]


def pushes(actions: list[Action]) -> list[Push | None]:
    return [one.reply.push for one in actions if isinstance(one, Send)]


@pytest.fixture
def session() -> Session:
    """Let in for a hundred seconds."""
    session = Session("c", JSON_CODEC, Terms(heartbeat=None), 0.0)
    session.receive([Command(1, connect=ConnectRequest())], 0.0)
    (sent,) = session.answer(1, Accepted(100.0, server_refresh=True), 0.0)
    assert isinstance(sent, Send)
    assert sent.reply.connect is not None
    assert not sent.reply.connect.expires  # the client has nothing to do about it
    return session


@pytest.fixture
def member(session: Session) -> Session:
    """In a channel for fifty of them."""
    (asked,) = session.receive([Command(2, subscribe=SubscribeRequest("news"))], 0.0)
    assert isinstance(asked, actions.Subscribe)
    session.answer(2, Subscribed(ttl=50.0, server_refresh=True), 0.0)
    return session


def test_the_application_is_asked_at_the_end_and_the_connection_goes_on(session: Session) -> None:
    assert session.advance(99.9) == []
    assert session.advance(100.0) == [actions.Refresh(2, "")]
    assert session.due is None
    assert session.advance(500.0) == []  # it is asked once
    assert session.answer(2, Refreshed(60.0), 101.0) == []
    assert session.due == 161.0
    assert session.advance(161.0) == [actions.Refresh(3, "")]
    assert session.answer(3, Refreshed(None), 161.0) == []
    assert session.due is None


@pytest.mark.parametrize("answer", NEVER, ids=repr)
def test_a_connection_ends_that_does_not_go_on(session: Session, answer: Answer) -> None:
    session.advance(100.0)
    assert session.answer(2, answer, 100.0) == [Close(DisconnectCode.EXPIRED.disconnect)]


def test_the_application_can_say_how_the_connection_ends(session: Session) -> None:
    session.advance(100.0)
    assert session.answer(2, Failed(BANNED), 100.0) == [Close(BANNED)]


def test_a_subscription_goes_on_or_ends_by_itself(member: Session) -> None:
    assert member.due == 50.0
    assert member.advance(50.0) == [actions.SubRefresh(3, "news", "")]
    assert member.answer(3, Refreshed(10.0), 51.0) == []
    assert member.advance(61.0) == [actions.SubRefresh(4, "news", "")]
    left, told = member.answer(4, Failed(ErrorCode.EXPIRED.error), 62.0)
    assert left == actions.Unsubscribe(5, "news", int(UnsubscribeCode.EXPIRED))
    assert pushes([told]) == [Push("news", unsubscribe=UnsubscribePush(2501, "subscription expired"))]
    assert member.connected


def test_the_end_of_a_subscription_can_be_the_end_of_the_connection(member: Session) -> None:
    member.advance(50.0)
    assert member.answer(3, Failed(BANNED), 50.0) == [Close(BANNED)]


def test_a_subscription_that_was_left_while_the_application_was_asked_stays_left(member: Session) -> None:
    member.advance(50.0)
    member.unsubscribe("news", 50.0)
    assert member.answer(3, Refreshed(10.0), 51.0) == []
    assert member.due == 100.0  # only the connection's end is left
