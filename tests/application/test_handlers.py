"""Handlers of events in FastAPI's style, called by the official SDK."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from centrifuge import (
    CentrifugeError,
    Client,
    ClientEventHandler,
    ReplyError,
    SubscriptionEventHandler,
)
from polling import eventually
from server_process import UVICORN, ServerProcess, running

from hubbub import ConfigurationError, Hub
from hubbub.auth import Tokens

SECRET = "a secret of the handlers' tests only"
COMMAND = (
    *UVICORN,
    *("--app-dir", "tests/application", "handlers_app:app"),
    *("--ws", "hubbub.uvicorn:WebSocketProtocol", "--log-level", "info"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running(COMMAND, tmp_path_factory.mktemp("handlers") / "log", {"SECRET": SECRET}) as one:
        yield one


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[Client]:
    client = Client(server.ws("/connection/websocket"))
    await client.connect()
    yield client
    await client.disconnect()
    await eventually(lambda: not client._background_tasks)  # they close the socket


class Heard(SubscriptionEventHandler):
    """Collects what a subscription hears."""

    def __init__(self) -> None:
        self.publications: list[Any] = []
        self.subscribed: list[Any] = []
        self.unsubscribed: list[int] = []

    async def on_publication(self, ctx: Any) -> None:
        self.publications.append(ctx.pub.data)

    async def on_subscribed(self, ctx: Any) -> None:
        self.subscribed.append(ctx.data)

    async def on_unsubscribed(self, ctx: Any) -> None:
        self.unsubscribed.append(ctx.code)


async def test_a_method_gets_its_body_and_its_dependencies(client: Client) -> None:
    assert (await client.rpc("add", {"a": 1, "b": 2})).data == {"sum": 3, "open": 1}
    assert (await client.rpc("still open", {})).data == 0


async def test_a_method_sees_the_headers_of_the_handshake(client: Client) -> None:
    assert (await client.rpc("echo", "héllo")).data == "héllo from Python"


async def test_a_method_finds_the_state_of_the_application(client: Client) -> None:
    assert (await client.rpc("greeting", {})).data == "good morning"


@pytest.mark.parametrize(
    ("method", "data", "code"),
    [
        ("add", {"a": "x"}, 107),
        ("nothing", {}, 104),
        ("wait", {}, 111),
        ("log in", {}, 101),
        ("later", {}, 111),  # as the application's handler of the exception says
        ("../rpc/add", {}, 104),
    ],
)
async def test_a_method_refuses_with_the_protocols_codes(
    client: Client, method: str, data: Any, code: int
) -> None:
    with pytest.raises(ReplyError) as caught:
        await client.rpc(method, data)
    assert caught.value.code == code


async def test_a_room_says_who_may_come_in_and_what_it_is_given(client: Client) -> None:
    heard = Heard()
    general = client.new_subscription("chat:general", heard)
    await general.subscribe()
    await general.ready()
    (given,) = heard.subscribed
    assert (given["welcome to"], given["from"]) == ("general", "database")
    for name in ("secret", "closed"):
        refused = Heard()
        await client.new_subscription(f"chat:{name}", refused).subscribe()
        await eventually(lambda refused=refused: refused.unsubscribed)  # type: ignore[misc]
        assert refused.unsubscribed == [103]


async def test_the_handlers_are_those_of_the_first_pattern_that_fits_as_are_the_options(
    client: Client,
) -> None:
    given = {}
    for name in ("desk:ada", "desk:ada:upper", "desk:ada:locked"):
        heard = Heard()
        await client.new_subscription(name, heard).subscribe()
        await eventually(lambda heard=heard: heard.subscribed or heard.unsubscribed)  # type: ignore[misc]
        given[name] = heard.subscribed or heard.unsubscribed
    assert given == {
        "desk:ada": ["the desk of ada"],
        "desk:ada:upper": ["the upper drawer of ada"],
        "desk:ada:locked": [103],
    }


async def test_a_room_says_what_is_published_and_hears_who_leaves(client: Client) -> None:
    heard = Heard()
    room = client.new_subscription("chat:said", heard)
    await room.subscribe()
    await room.ready()
    me = heard.subscribed[0]["you"]
    await room.publish({"text": "hi"})
    await room.publish({"text": "as it is", "plain": True})
    with pytest.raises(ReplyError) as caught:
        await room.publish({"text": "forbidden"})
    assert caught.value.code == 103
    await eventually(lambda: len(heard.publications) == 2)
    assert heard.publications == [
        {"text": "hi", "by": me, "room": "said"},
        {"text": "as it is", "plain": True},
    ]
    await room.unsubscribe()

    async def told() -> bool:
        return f"{me} left said" in (await client.rpc("who left", {})).data

    await eventually(told)


async def test_rooms_without_handlers_go_by_their_options(client: Client) -> None:
    heard = Heard()
    room = client.new_subscription("free:for-all", heard)
    await room.subscribe()
    await room.ready()
    await room.publish("hello")
    await eventually(lambda: heard.publications == ["hello"])


async def test_a_personal_room_is_nobody_elses_whatever_its_handlers_say(
    server: ServerProcess, client: Client
) -> None:
    theirs = client.new_subscription("own:ada", Heard())
    await theirs.subscribe()
    with pytest.raises(CentrifugeError):
        await theirs.ready()
    with pytest.raises(ReplyError) as caught:
        await client.publish("own:ada", {})
    assert caught.value.code == 103
    ada = Client(
        server.ws("/connection/websocket"), token=server.secret(Tokens(SECRET).issue("ada")), events=Named()
    )
    await ada.connect()
    await ada.ready()
    await eventually(lambda: ada.events.subscribed == ["own:ada"])  # type: ignore[attr-defined]
    await ada.publish("own:ada", {})
    await ada.disconnect()
    await eventually(lambda: not ada._background_tasks)


class Named(ClientEventHandler):
    """Collects the rooms that the server has put a client in."""

    def __init__(self) -> None:
        self.subscribed: list[str] = []

    async def on_subscribed(self, ctx: Any) -> None:
        self.subscribed.append(ctx.channel)


async def test_who_comes_back_is_asked_again(client: Client) -> None:
    heard = Heard()
    party = client.new_subscription("party:once", heard)
    await party.subscribe()
    await party.ready()
    with suppress(CentrifugeError):  # the connection ends before the answer
        await client.rpc("send away", {})
    await eventually(lambda: heard.unsubscribed == [103])


@pytest.mark.parametrize("name", ["", "a/b", "{x}"])
def test_what_cannot_be_a_method_is_refused_at_once(name: str) -> None:
    with pytest.raises(ConfigurationError):
        Hub().rpc(name)


def test_a_method_has_one_handler() -> None:
    hub = Hub()
    hub.rpc("add")(lambda: None)
    with pytest.raises(ConfigurationError):
        hub.rpc("add")


def test_a_pattern_has_its_handlers_in_one_place() -> None:
    hub = Hub()
    hub.room("chat:{name}", presence=True)
    with pytest.raises(ConfigurationError, match="already"):
        hub.room("chat:{name}")
    hub.room("chat:{name}:{more}")
