"""Every error knows its close code and whether to try again."""

import pytest

from hubbub.core import errors
from hubbub.core.errors import CloseCode, Disconnected, HubbubError, Unauthorized

CODES = {
    "Refused": 1008,
    "Unauthorized": 1008,
    "OriginRefused": 1008,
    "InvalidRoomName": 1008,
    "LimitReached": 1008,
    "BadMessage": 1007,
    "InvalidMessage": 1007,
    "MessageTooBig": 1009,
    "WrongMessageType": 1003,
    "SlowConsumer": 1013,
    "BrokerError": 1013,
    "HistoryGone": 1013,
    "ConfigurationError": 1011,
    "HubNotRunning": 1011,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_an_error_closes_with_the_code_that_its_cause_deserves(name: str, code: int) -> None:
    assert getattr(errors, name).code == code


def test_the_tree_of_the_docstring_is_the_tree_of_the_code() -> None:
    drawn = [line.split() for line in (errors.__doc__ or "").splitlines() if "├" in line or "└" in line]
    names = {word for words in drawn for word in words if word.isidentifier() and word[0].isupper()}
    found = {kind.__name__ for kind in vars(errors).values() if isinstance(kind, type)} - {
        "IntEnum",
        "CloseCode",
        "HubbubError",
    }
    assert found <= names, found - names
    assert all(issubclass(getattr(errors, name), HubbubError) for name in found)


def test_only_what_can_pass_by_itself_is_worth_another_try() -> None:
    assert errors.SlowConsumer.retry
    assert errors.BrokerError.retry
    assert not errors.HistoryGone.retry
    assert not errors.Unauthorized.retry


def test_an_unauthorized_client_learns_nothing_of_the_reason() -> None:
    error = Unauthorized("signature has expired")
    assert str(error) == "Unauthorized"
    assert error.detail == "signature has expired"


def test_disconnected_says_how_it_ended() -> None:
    assert str(Disconnected(1013, "too slow")) == "disconnected (1013: too slow)"
    assert str(Disconnected()) == "disconnected (1006)"
    assert isinstance(Disconnected(CloseCode.NORMAL), ConnectionError)
