"""The limits' own rules, and the rule for room names."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.errors import ConfigurationError, InvalidRoomName
from hubbub.core.limits import Limits


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_that_is_not_positive_is_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Limits(**{name: value})


def test_the_defaults_are_those_of_the_design() -> None:
    limits = Limits()
    assert (limits.message_bytes, limits.outbox_bytes) == (65_536, 1_048_576)
    assert (limits.first_message_bytes, limits.first_message_timeout) == (8_192, 10.0)
    assert (limits.room_name_bytes, limits.rooms_per_connection) == (255, 128)


@pytest.mark.parametrize("name", ["a", "chat:general", "A-b_c.d@e/f:9", "x" * 255])
def test_a_good_room_name_passes(name: str) -> None:
    Limits().check_room_name(name)


@pytest.mark.parametrize(
    "name", ["", "x" * 256, "a b", "a\n", "\na", "*", "a>b", "é", "a\x00", "a\u200b", "{a}", "a?b", "٣"]
)
def test_a_bad_room_name_is_refused_with_a_text_for_the_client(name: str) -> None:
    with pytest.raises(InvalidRoomName, match="1 to 255 ASCII"):
        Limits().check_room_name(name)


@given(st.text(max_size=20))
def test_what_passes_is_safe_in_a_log_and_in_a_brokers_subject(name: str) -> None:
    try:
        Limits().check_room_name(name)
    except InvalidRoomName:
        return
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set(" *>?[]{}\\'\"")
