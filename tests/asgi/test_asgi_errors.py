"""Our errors are those that Starlette's users know."""

import pytest
from starlette.exceptions import WebSocketException
from starlette.websockets import WebSocketDisconnect

from hubbub import Disconnected, Refused
from hubbub.asgi.errors import SocketDisconnected, SocketRefused


def test_the_end_of_a_connection_is_caught_under_both_names() -> None:
    for name in (Disconnected, WebSocketDisconnect):
        with pytest.raises(name) as caught:
            raise SocketDisconnected(1001, "away")
        assert (caught.value.code, caught.value.reason) == (1001, "away")


def test_a_refusal_carries_code_and_reason_to_starlette() -> None:
    refused = SocketRefused(Refused("not you"))
    assert isinstance(refused, WebSocketException)
    assert (int(refused.code), refused.reason) == (1008, "not you")
