"""Room options by pattern."""

import pytest

from hubbub.core.errors import ConfigurationError
from hubbub.core.history import History
from hubbub.core.options import RoomOptions, RoomPatterns
from hubbub.core.outbox import Overflow

SOME = RoomOptions(History(size=7))


def fits(pattern: str, room: str) -> bool:
    patterns = RoomPatterns()
    patterns.add(pattern, SOME)
    return patterns.options(room) is SOME


@pytest.mark.parametrize(
    ("pattern", "room"),
    [
        ("chat", "chat"),
        ("chat:{name}", "chat:a"),
        ("chat:{name}", "chat:a.b@c-d_e"),
        ("{a}:{b}", "x:y"),
        ("doc/{path:path}", "doc/a/b:c"),
        ("a.b", "a.b"),
        ("{a}-{b}", "x-y-z"),
    ],
)
def test_a_pattern_fits(pattern: str, room: str) -> None:
    assert fits(pattern, room)


@pytest.mark.parametrize(
    ("pattern", "room"),
    [
        ("chat", "chats"),
        ("chat", "Chat"),
        ("chat:{name}", "chat:"),
        ("chat:{name}", "chat:a:b"),
        ("chat:{name}", "chat:a/b"),
        ("chat:{name}", "xchat:a"),
        ("doc/{path:path}", "doc/"),
        ("a.b", "axb"),
    ],
)
def test_a_pattern_does_not_fit(pattern: str, room: str) -> None:
    assert not fits(pattern, room)


def test_the_first_pattern_that_fits_counts_and_then_the_default() -> None:
    first, second, default = RoomOptions(), RoomOptions(overflow=Overflow.DROP_OLDEST), RoomOptions(History())
    patterns = RoomPatterns(default)
    patterns.add("a:{x}", first)
    patterns.add("{y}:{x}", second)
    assert patterns.options("a:1") is first
    assert patterns.options("b:1") is second
    assert patterns.options("lobby") is default
    assert RoomPatterns().options("lobby") == RoomOptions(None, Overflow.DISCONNECT)


@pytest.mark.parametrize(
    "pattern", ["", "{", "}", "a{", "{}", "{1a}", "{a", "a}", "{a}}", "{{a}}", "{a:int}", "}{a}"]
)
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="Room pattern"):
        RoomPatterns().add(pattern, SOME)
