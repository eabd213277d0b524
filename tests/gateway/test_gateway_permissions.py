"""Who may do what, by a room's options."""

from typing import Any

import pytest

from hubbub import Allow, ConfigurationError, History, Hub, User
from hubbub.centrifuge.errors import ErrorCode
from hubbub.core.errors import Refused, Unauthorized
from hubbub.gateway import CommandFailed, Credentials, Gateway, Grant, StandardHandlers, TokenVerifier
from hubbub.gateway.permissions import Permissions, PersonalRooms

NOBODY, USER = None, User("ada")
PLAIN, TOKEN = Grant(), Grant(by_token=True)


class Somebody:
    """A visitor as far as permissions look at it."""

    def __init__(self, user: User | None, grant: Grant | None = None) -> None:
        self.connection: Any = self
        self.user = user
        self.id = "client"
        self.scope: dict[str, Any] = {}
        self._grant = grant

    def grant(self, room: str) -> Grant | None:
        return self._grant


@pytest.mark.parametrize(
    ("allow", "user", "grant", "may"),
    [
        (Allow.NOBODY, USER, TOKEN, False),
        (Allow.TOKEN, USER, TOKEN, True),
        (Allow.TOKEN, USER, PLAIN, False),
        (Allow.TOKEN, USER, None, False),
        (Allow.SUBSCRIBER, NOBODY, PLAIN, True),
        (Allow.SUBSCRIBER, USER, None, False),
        (Allow.USER, USER, None, True),
        (Allow.USER, NOBODY, PLAIN, False),
        (Allow.ANYONE, NOBODY, None, True),
    ],
)
def test_a_client_may_what_the_room_allows_to_its_kind(
    allow: Allow, user: User | None, grant: Grant | None, may: bool
) -> None:
    permissions, somebody = Permissions(Hub()), Somebody(user, grant)
    if may:
        permissions.check(allow, somebody, "chat:1")
    else:
        with pytest.raises(Refused):
            permissions.check(allow, somebody, "chat:1")


def test_a_room_of_no_pattern_is_unknown() -> None:
    hub = Hub()
    hub.room("chat:{name}")
    permissions = Permissions(hub)
    assert permissions.options(Somebody(USER), "chat:1") is hub.options("chat:1")
    with pytest.raises(CommandFailed) as refusal:
        permissions.options(Somebody(USER), "cinema:1")
    assert refusal.value.reason == ErrorCode.UNKNOWN_CHANNEL.error


def test_a_personal_room_is_its_users_only() -> None:
    hub = Hub()
    hub.room("{any:path}", allow_subscribe=Allow.ANYONE, allow_publish=Allow.ANYONE)
    rooms = PersonalRooms(hub, "user:{id}")
    permissions = Permissions(hub, rooms)
    assert rooms.of(USER) == "user:ada"
    assert permissions.options(Somebody(USER), "user:ada") is hub.options("user:ada")
    for other in (Somebody(NOBODY), Somebody(User("bob")), Somebody(User("ada:x"))):
        with pytest.raises(Refused):
            permissions.options(other, "user:ada")


def test_not_every_user_can_have_a_personal_room() -> None:
    rooms = PersonalRooms(Hub(), "user:{id}")
    assert rooms.of(None) is None
    assert rooms.of(User("a b")) is None
    assert rooms.of(User("x" * 300)) is None


@pytest.mark.parametrize("template", ["user", "{id}", "user:{id}:{id}", "", "user:#{id}"])
def test_a_personal_rooms_name_has_the_user_in_it(template: str) -> None:
    with pytest.raises(ConfigurationError):
        PersonalRooms(Hub(), template)


def test_nobody_comes_in_by_accident() -> None:
    hub = Hub()
    closed = StandardHandlers(hub, TokenVerifier("a secret of these tests, long enough"))
    for token in ("", "x.y.z"):
        with pytest.raises(Unauthorized):
            closed.authenticate(Somebody(NOBODY), Credentials(token))
    no_keys = StandardHandlers(hub, anonymous=True)
    assert no_keys.authenticate(Somebody(NOBODY), Credentials("")).user is None
    with pytest.raises(Unauthorized):
        no_keys.authenticate(Somebody(NOBODY), Credentials("x.y.z"))


def test_an_application_that_lets_nobody_in_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    handlers = StandardHandlers(Hub())
    for _ in range(2):
        with pytest.raises(Unauthorized):
            handlers.authenticate(Somebody(NOBODY), Credentials(""))
    (said,) = caplog.messages
    assert "Hub(anonymous=True)" in said


def test_a_gateway_that_lets_nobody_in_is_refused() -> None:
    verifier = TokenVerifier("a secret of these tests, long enough")
    for arguments in (
        {},
        {"personal_room": "user:{id}"},
        {"subscription_tokens": verifier},
        {"handlers": StandardHandlers(Hub(), verifier), "tokens": verifier},
        {"handlers": StandardHandlers(Hub(), verifier), "anonymous": True},
    ):
        with pytest.raises(ConfigurationError):
            Gateway(Hub(), **arguments)  # type: ignore[arg-type]


def test_what_a_room_does_not_have_is_not_available() -> None:
    hub = Hub()
    everything = {"allow_history": Allow.ANYONE, "allow_presence": Allow.ANYONE}
    hub.room("bare:{name}", **everything)  # type: ignore[typeddict-item]
    hub.room("full:{name}", history=History(size=1, ttl=60), presence=True, **everything)  # type: ignore[typeddict-item]
    handlers = StandardHandlers(hub, anonymous=True)
    for may in (handlers.may_read_history, handlers.may_see_presence):
        assert may(Somebody(NOBODY), "full:1") is None
        with pytest.raises(CommandFailed) as refusal:
            may(Somebody(NOBODY), "bare:1")
        assert refusal.value.reason == ErrorCode.NOT_AVAILABLE.error
