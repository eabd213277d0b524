"""The session against conversations that any client could have with it."""

from typing import Any

import pytest
from conversation import Replay, conversations

CONVERSATIONS = dict(conversations())


@pytest.mark.parametrize("title", CONVERSATIONS)
def test_the_session_keeps_to_the_conversation(title: str) -> None:
    Replay(CONVERSATIONS[title]).run()


def told(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"title": "planted", "steps": list(steps)}


CONNECT = {"in": [{"id": 1, "connect": {}}]}
CALL = {"call": {"authenticate": {}}}


@pytest.mark.parametrize(
    "planted",
    [
        told(CONNECT),
        told(CONNECT, CALL, {"answer": {"accepted": {}}}),
        told(CONNECT, {"call": {"subscribe": {}}}),
        told(CONNECT, {"call": {"authenticate": {"token": "other"}}}),
        told(CONNECT, CALL, {"out": [{}]}),
        told(CONNECT, CALL, {"answer": {"accepted": {}}}, {"out": [{"id": 2, "connect": {}}]}),
        told({"raw": "?"}, {"close": {"code": 3500, "reason": "invalid token"}}),
    ],
)
def test_a_conversation_that_does_not_hold_is_noticed(planted: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        Replay(planted).run()
