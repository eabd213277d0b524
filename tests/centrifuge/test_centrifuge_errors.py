"""The codes are the documented ones, as the official SDK knows them, and every error of the hub has one."""

import pytest
from centrifuge import codes

from hubbub.centrifuge.errors import (
    ClientError,
    Disconnect,
    DisconnectCode,
    ErrorCode,
    UnsubscribeCode,
    disconnect_for,
    error_for,
)
from hubbub.core import errors

DOCUMENTED = {
    errors.ConfigurationError("x"): ErrorCode.INTERNAL,
    errors.HubNotRunning(): ErrorCode.INTERNAL,
    errors.Disconnected(): ErrorCode.INTERNAL,
    errors.Refused("x"): ErrorCode.PERMISSION_DENIED,
    errors.Unauthorized(): ErrorCode.UNAUTHORIZED,
    errors.OriginRefused(): ErrorCode.PERMISSION_DENIED,
    errors.InvalidRoomName(): ErrorCode.BAD_REQUEST,
    errors.LimitReached(): ErrorCode.LIMIT_EXCEEDED,
    errors.BadMessage(): ErrorCode.BAD_REQUEST,
    errors.MessageTooBig(): ErrorCode.BAD_REQUEST,
    errors.WrongMessageType(): ErrorCode.BAD_REQUEST,
    errors.InvalidMessage(): ErrorCode.BAD_REQUEST,
    errors.BrokerError("x"): ErrorCode.INTERNAL,
    errors.HistoryGone("x"): ErrorCode.UNRECOVERABLE_POSITION,
    ValueError("secret"): ErrorCode.INTERNAL,
}


@pytest.mark.parametrize("error", DOCUMENTED, ids=lambda error: type(error).__name__)
def test_an_error_of_the_hub_has_a_code(error: Exception) -> None:
    assert error_for(error) == DOCUMENTED[error].error


def test_a_slow_consumer_is_disconnected() -> None:
    assert error_for(errors.SlowConsumer()) == Disconnect(3008, "slow")


def test_only_what_may_pass_is_temporary() -> None:
    assert [code for code in ErrorCode if code.temporary] == [100, 111, 113]
    assert list(ErrorCode) == list(range(100, 114))
    assert ErrorCode.TOO_MANY_REQUESTS.error == ClientError(111, "too many requests", True)


def test_disconnects_say_whether_to_come_back() -> None:
    assert {code for code in DisconnectCode if not code.disconnect.reconnect} == {
        code for code in DisconnectCode if code >= 3500
    }
    custom = {
        4000: True,
        4499: True,
        4500: False,
        4999: False,
        5000: True,
        3499: True,
        3999: False,
        1000: True,
    }
    assert {code: Disconnect(code).reconnect for code in custom} == custom


def test_the_sdk_knows_the_same_codes() -> None:
    assert ErrorCode.UNRECOVERABLE_POSITION == codes._ERROR_CODE_UNRECOVERABLE_POSITION
    assert ErrorCode.TOKEN_EXPIRED == 109
    assert DisconnectCode.STATE_INVALIDATED == codes._DISCONNECTED_STATE_INVALIDATED
    assert UnsubscribeCode.STATE_INVALIDATED == codes._UNSUBSCRIBED_STATE_INVALIDATED


def test_a_reason_fits_a_close_frame() -> None:
    reason = Disconnect(4000, "ä" * 100).short_reason
    assert reason == "ä" * 61
    assert DisconnectCode.SHUTDOWN.disconnect.short_reason == "shutdown"


def test_where_there_is_no_reply_an_error_ends_the_connection() -> None:
    assert disconnect_for(ErrorCode.NOT_AVAILABLE.error) == DisconnectCode.NOT_AVAILABLE.disconnect
    assert disconnect_for(ClientError(1000, "own")) == DisconnectCode.SERVER_ERROR.disconnect
