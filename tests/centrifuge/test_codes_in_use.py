"""Every code of the protocol is said somewhere, or there is a reason why it never is."""

import re
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from conversation import conversations

import hubbub
from hubbub.centrifuge.errors import DisconnectCode, ErrorCode, UnsubscribeCode

NEVER = {
    ErrorCode.CONCURRENT_PAGINATION: "of maps, which are not spoken here",
    UnsubscribeCode.STATE_INVALIDATED: "of an application's filters, which the reference server changes",
    DisconnectCode.CONNECTION_CLOSED: "the reference server's word for a client that has gone by itself",
    DisconnectCode.WRITE_ERROR: "whoever cannot be written to cannot be told so",
    DisconnectCode.STATE_INVALIDATED: "an application's own word",
    DisconnectCode.INAPPROPRIATE_PROTOCOL: "a payload that is no JSON goes to JSON clients as a string",
    DisconnectCode.TOO_MANY_ERRORS: "an application's own word",
}
"""Codes that the server does not say by itself. The API may have a client ended with any of them."""


def said() -> set[int]:
    """The codes in all replies, pushes and ends of the conversations."""
    found: set[int] = set()
    for _, conversation in conversations():
        for step in conversation["steps"]:
            found |= set(codes([step.get("out"), step.get("close")]))
    return found


def codes(value: Any) -> Iterator[int]:
    """The values of `code` in there."""
    if isinstance(value, dict):
        if isinstance(value.get("code"), int):
            yield value["code"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from codes(one)


def named() -> set[str]:
    """The codes that the source says by name, apart from where they are defined."""
    folder = Path(hubbub.__path__[0])
    sources = [path for path in folder.rglob("*.py") if path != folder / "centrifuge" / "errors.py"]
    pattern = re.compile(r"\b(?:ErrorCode|UnsubscribeCode|DisconnectCode)\.[A-Z_]+")
    return {name for path in sources for name in pattern.findall(path.read_text())}


SAID = said()
NAMED = named()
FROM_ERRORS = {
    *(ErrorCode.INTERNAL, ErrorCode.UNAUTHORIZED, ErrorCode.UNRECOVERABLE_POSITION),
    DisconnectCode.NOT_AVAILABLE,
}
"""Made of other errors, by `error_for` and `disconnect_for`."""


@pytest.mark.parametrize(
    "code",
    [*ErrorCode, *UnsubscribeCode, *DisconnectCode],
    ids=lambda code: f"{int(code)} {code.name.lower()}",
)
def test_a_code_is_said_by_the_server_or_never(code: IntEnum) -> None:
    by_name = f"{type(code).__name__}.{code.name}" in NAMED or code in FROM_ERRORS
    if code in NEVER:
        assert not by_name, NEVER[code]  # type: ignore[index]
    else:
        assert by_name
        assert code in SAID or code in ELSEWHERE, "no conversation has it"


ELSEWHERE = {
    DisconnectCode.SERVER_ERROR: "tests/gateway/test_gateway_endings.py",
    DisconnectCode.SLOW: "tests/gateway/test_gateway_endings.py",
    DisconnectCode.FORCE_RECONNECT: "tests/gateway/test_gateway_rates.py",
    DisconnectCode.TOO_MANY_REQUESTS: "tests/gateway/test_streams.py",
    DisconnectCode.CONNECTION_LIMIT: "tests/gateway/test_gateway_rates.py",
    ErrorCode.UNAUTHORIZED: "tests/application/test_handlers.py",
    ErrorCode.TOO_MANY_REQUESTS: "tests/application/test_handlers.py",
}
"""What needs more than a session, and the tests that have it."""


@pytest.mark.parametrize(("code", "place"), ELSEWHERE.items(), ids=lambda it: str(it))
def test_what_no_conversation_can_have_is_in_another_test(code: IntEnum, place: str) -> None:
    root = Path(__file__).parent.parent.parent
    assert re.search(rf"\b{int(code)}\b", (root / place).read_text())
