"""The hub that a server's settings describe."""

import dataclasses

import pytest

from hubbub import Allow, Protection, Rate
from hubbub.server.assembly import make_hub, protection
from hubbub.server.settings import RoomTable, Settings

NAMES = {
    "messages": ("message_rate", "message_burst"),
    "user_messages": ("user_message_rate", "user_message_burst"),
    "handshakes": ("handshake_rate", "handshake_burst"),
    "connections": ("max_connections",),
    "connections_per_user": ("max_connections_per_user",),
    "connections_per_address": ("max_connections_per_address",),
    "unauthenticated": ("max_unauthenticated",),
    "idle_timeout": ("idle_timeout",),
}
"""The fields of `Protection`, and the settings that say them."""

UNSET = {"strikes"}


def test_a_server_protects_itself_as_a_hub_does_and_from_the_idle_too() -> None:
    assert protection(Settings()) == dataclasses.replace(Protection(), idle_timeout=60.0)
    assert protection(Settings(protection=False)) is None
    assert {one.name for one in dataclasses.fields(Protection)} == NAMES.keys() | UNSET


@pytest.mark.parametrize("field", NAMES)
def test_each_bound_is_said_by_its_own_settings(field: str) -> None:
    numbers = dict(zip(NAMES[field], (3, 7), strict=False))
    expected = Rate(3, 7) if len(numbers) == 2 else 3
    assert protection(Settings(**numbers)) == dataclasses.replace(  # type: ignore[arg-type]
        Protection(idle_timeout=60.0), **{field: expected}
    )


@pytest.mark.parametrize("field", [name for name in NAMES if name != "unauthenticated"])
def test_a_bound_of_0_is_none(field: str) -> None:
    made = protection(Settings(**{NAMES[field][0]: 0}))  # type: ignore[arg-type]
    assert getattr(made, field) is None


@pytest.mark.parametrize("what", ["subscribe", "publish", "history", "presence"])
def test_who_shows_no_token_is_not_anyone_unless_the_server_says_so(what: str) -> None:
    name = f"allow_{what}"
    rooms = {"r": RoomTable(**{name: Allow.ANYONE})}  # type: ignore[arg-type]
    for anonymous, allowed in ((False, Allow.USER), (True, Allow.ANYONE)):
        hub = make_hub(Settings(broker="memory://", rooms=rooms, anonymous=anonymous))
        assert getattr(hub.options("r"), name) is allowed
