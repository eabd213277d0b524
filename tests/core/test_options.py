"""Room options by pattern."""

from typing import Any

import pytest

from hubbub.core.errors import ConfigurationError
from hubbub.core.history import History
from hubbub.core.options import Allow, Delta, RoomOptions, RoomPatterns
from hubbub.core.outbox import Overflow
from hubbub.core.patterns import MAX_REMEMBERED

SOME = RoomOptions(history=History(size=7))


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
    first, second, default = (
        RoomOptions(),
        RoomOptions(overflow=Overflow.DROP_OLDEST),
        RoomOptions(history=History()),
    )
    patterns = RoomPatterns(default)
    patterns.add("a:{x}", first)
    patterns.add("{y}:{x}", second)
    assert patterns.options("a:1") is first
    assert patterns.options("b:1") is second
    assert patterns.options("lobby") is default
    assert RoomPatterns().options("lobby") == RoomOptions()


@pytest.mark.parametrize(
    "pattern", ["", "{", "}", "a{", "{}", "{1a}", "{a", "a}", "{a}}", "{{a}}", "{a:int}", "}{a}"]
)
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="Room pattern"):
        RoomPatterns().add(pattern, SOME)


def test_a_name_that_fits_no_pattern_is_not_found_and_a_new_pattern_is_seen_at_once() -> None:
    patterns = RoomPatterns()
    assert patterns.find("chat:a") is None
    assert patterns.find("chat:a") is None
    patterns.add("chat:{name}", SOME)
    assert patterns.find("chat:a") is SOME
    assert patterns.find("chat:a:b") is None


def test_no_more_names_are_remembered_than_are_good() -> None:
    patterns = RoomPatterns()
    patterns.add("a{n}", SOME)
    for number in range(MAX_REMEMBERED + 10):
        assert patterns.options(f"a{number}") is SOME
    assert len(patterns._found) <= MAX_REMEMBERED


@pytest.mark.parametrize(
    "settings",
    [
        {"force_recovery": True},
        {"force_positioning": True},
        {"cache": True},
        {"delta": Delta.FOSSIL},
        {"join_leave": True},
        {"force_push_join_leave": True},
        {"allow_subscribe": Allow.SUBSCRIBER},
    ],
)
def test_options_that_cannot_work_together_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RoomOptions(**settings)
    RoomOptions(history=History(), presence=True, **{k: v for k, v in settings.items() if k[0] != "a"})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"allow_subscribe": "anyone"}, "allow_subscribe is one of Allow.NOBODY, .*, not 'anyone'"),
        ({"allow_history": True}, "allow_history is one of"),
        ({"allow_publish": Overflow.DISCONNECT}, "allow_publish is one of"),
        ({"overflow": "drop_oldest"}, "overflow is one of Overflow.DISCONNECT, "),
        ({"delta": "fossil", "history": History()}, "delta is one of Delta.FOSSIL, not 'fossil'"),
    ],
)
def test_a_value_that_is_none_of_the_choices_is_refused_when_it_is_given(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        RoomOptions(**settings)
