"""What no SDK would say: the documented code for the one who says it, and nothing for anybody else."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from gateway_sdk import Server, room, token
from gateway_wire import ENDPOINT, wire
from polling import eventually
from websockets.exceptions import InvalidStatus

CONNECT = '{"id":1,"connect":{}}'
PROTOBUF = "?cf_protocol=protobuf"
DEEP = '{"id":2,"rpc":{"method":"echo","data":' + "[" * 10_000 + "]" * 10_000 + "}}"


@asynccontextmanager
async def bystander(server: Server) -> AsyncIterator[None]:
    """Somebody in a room, who still hears what is said there at the end, and nothing else."""
    name = room("open")
    async with wire(server.ws(ENDPOINT)) as other, wire(server.ws(ENDPOINT)) as speaker:
        assert await other.ask("subscribe", channel=name) == {}
        yield
        assert await speaker.ask("publish", channel=name, data={"still": "here"}) == {}
        assert (await other.push("pub"))["data"] == {"still": "here"}


@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        ("not JSON", None, 3501),
        ("", None, 3501),
        ("[]", None, 3501),
        ('{"id":1,"connect":{}', None, 3501),
        ('{"id":-1,"connect":{}}', None, 3501),
        ('{"id":1,"connect":{"token":7}}', None, 3501),
        ('{"id":1,"unheard-of":{}}', None, 3501),
        ('{"id":1,"subscribe":{"channel":"open:x"}}', None, 3501),
        ('{"id":1,"rpc":{"method":"echo"}}', None, 3501),
        ("{}", None, 3501),
        (CONNECT, CONNECT, 3501),
        (CONNECT, "{}", 3501),
        (CONNECT, '{"id":2}', 3501),
        (CONNECT, '{"rpc":{"method":"echo"}}', 3501),
        (CONNECT, '{"id":2,"subscribe":{"channel":""}}', 3501),
        (CONNECT, '{"id":2,"refresh":{"token":"unasked"}}', 3501),
        (CONNECT, DEEP, 3501),
        (CONNECT, '{"id":2,"rpc":{"method":"echo","data":"' + "x" * 65_536 + '"}}', 1009),
        ('{"id":1,"connect":{"token":"' + "x" * 9_000 + '"}}', None, 3500),
        ('{"id":1,"connect":{"token":"no.to.ken"}}', None, 3500),
    ],
)
async def test_malformed_json_ends_only_its_own_connection(
    server: Server, first: str, then: str | None, code: int
) -> None:
    async with bystander(server), wire(server.ws(ENDPOINT), connected=False) as bad:
        await bad.socket.send(first)
        if then is not None:
            await bad.next()
            await bad.socket.send(then)
        assert (await bad.end())[0] == code


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\xff" * 20, 3501),
        (b"", 3501),
        (b"\x05ab", 3501),
        (b"\x02\x08\x01", 3501),
        (b"\x80" * 12, 3501),
        (CONNECT, 3501),
        (b"\x00" * 70_000, 1009),
    ],
)
async def test_malformed_protobuf_ends_only_its_own_connection(
    server: Server, frame: bytes | str, code: int
) -> None:
    async with bystander(server), wire(server.ws(ENDPOINT + PROTOBUF), connected=False) as bad:
        await bad.socket.send(frame)
        assert (await bad.end())[0] == code


async def test_json_in_a_binary_frame_is_json(server: Server) -> None:
    async with wire(server.ws(ENDPOINT), connected=False) as one:
        await one.socket.send(CONNECT.encode())
        assert (await one.next())["connect"]["client"]


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "#nodes",
        "a b",
        "a\nb",
        "ä",
        "a\x00b",
        "x" * 256,
        "open:x>",
        "../../etc/passwd%00",
        "open:\ud800",
        "$x",
    ],
)
async def test_a_room_name_that_cannot_be_is_refused(server: Server, name: str) -> None:
    async with bystander(server), wire(server.ws(ENDPOINT)) as one:
        for method in ("subscribe", "presence", "history", "presence_stats"):
            assert await one.ask(method, channel=name) in (107, 102), (method, name)
        assert await one.ask("publish", channel=name, data=1) in (107, 102)
        assert await one.ask("rpc", method="echo", data=1) == {"data": 1}


async def test_a_thousand_subscriptions_are_too_many(server: Server) -> None:
    async with bystander(server), wire(server.ws(ENDPOINT)) as one:
        answers = [await one.ask("subscribe", channel=f"open:crowd-{number}") for number in range(200)]
        assert answers == [{}] * 128 + [106] * 72
    async with wire(server.ws(ENDPOINT)) as another:
        names = [f"open:flood-{number}" for number in range(1_000)]
        for start in range(0, 1_000, 100):
            await another.say(
                *(
                    {"id": 10 + start + place, "subscribe": {"channel": name}}
                    for place, name in enumerate(names[start : start + 100])
                )
            )
        replies = [await another.next() for _ in range(1_000)]
        refused = [reply for reply in replies if "error" in reply]
        assert len(refused) == 872
        assert {reply["error"]["code"] for reply in refused} == {106}


async def rooms_of(server: Server) -> dict[str, int]:
    async with server.http() as http:
        rooms: dict[str, int] = (await http.get("/state")).json()["rooms"]
        return rooms


async def test_rooms_are_left_when_their_members_have_gone(server: Server) -> None:
    name = room("open")
    async with wire(server.ws(ENDPOINT)) as one:
        await one.ask("subscribe", channel=name)
        assert (await rooms_of(server))[name] == 1
    await eventually(lambda: _gone(server, name))


async def _gone(server: Server, name: str) -> bool:
    return name not in await rooms_of(server)


async def test_what_a_room_does_not_allow_is_refused(server: Server) -> None:
    chat, secret, silent = room("chat"), room("secret"), room("silent")
    async with wire(server.ws(ENDPOINT)) as nobody:
        assert await nobody.ask("subscribe", channel=chat) == 103
        assert await nobody.ask("subscribe", channel=secret) == 103
        assert await nobody.ask("subscribe", channel="no:such:room") == 102
        assert await nobody.ask("publish", channel=chat, data=1) == 103
        assert await nobody.ask("history", channel=chat, limit=1) == 103
        assert await nobody.ask("presence", channel=chat) == 103
        assert await nobody.ask("history", channel=room("open"), limit=1) == 108
        assert await nobody.ask("presence", channel=room("open")) == 108
    async with wire(server.ws(ENDPOINT), server.secret(token("ada"))) as ada:
        assert isinstance(await ada.ask("subscribe", channel=silent), dict)
        assert await ada.ask("subscribe", channel=silent) == 105
        assert await ada.ask("publish", channel=silent, data=1) == 103
        assert await ada.ask("history", channel=silent, limit=1) == 103
        assert await ada.ask("subscribe", channel="user:bob") == 103
        assert await ada.ask("subscribe", channel="user:ada") == 105
        assert await ada.ask("publish", channel="user:bob", data=1) == 103
        assert await ada.ask("sub_refresh", channel=chat, token="x") == 103


async def test_info_that_is_too_large_to_be_told_keeps_out_of_rooms_with_presence(server: Server) -> None:
    shown = server.secret(token("ada", info={"picture": "x" * 2_000}))
    async with wire(server.ws(ENDPOINT), shown) as one:
        assert await one.ask("subscribe", channel=room("chat")) == 103
        assert isinstance(await one.ask("subscribe", channel=room("open")), dict)


async def test_a_token_may_ask_for_less_or_more_than_the_room_gives(server: Server) -> None:
    name = room("secret")
    forced = {"force_recovery": {"value": True}, "force_push_join_leave": {"value": True}}
    async with wire(server.ws(ENDPOINT), server.secret(token("ada"))) as one:
        shown = server.secret(token("ada", channel=name, override=forced))
        assert (await one.ask("subscribe", channel=name, token=shown))["recoverable"]
        await one.ask("unsubscribe", channel=name)
        shown = server.secret(token("ada", channel=name))
        assert "recoverable" not in await one.ask("subscribe", channel=name, token=shown)


async def test_a_token_for_a_subscription_opens_no_connection(server: Server) -> None:
    shown = server.secret(token("ada", channel=room("secret")))
    async with wire(server.ws(ENDPOINT), connected=False) as one:
        await one.say({"id": 1, "connect": {"token": shown}})
        assert await one.end() == (3500, "invalid token")


async def test_a_page_of_another_origin_is_refused_before_the_handshake(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with wire(server.ws(ENDPOINT), origin="https://evil.example"):
            pass
    assert refusal.value.response.status_code == 403
    async with wire(server.ws(ENDPOINT), origin="https://friend.example") as friend:
        assert await friend.ask("ping") == {}


@pytest.mark.parametrize(
    ("offered", "query", "selected", "binary"),
    [
        (["centrifuge-protobuf"], "", "centrifuge-protobuf", True),
        (["centrifuge-json"], "", "centrifuge-json", False),
        (["centrifuge-json", "centrifuge-protobuf"], "", "centrifuge-json", False),
        (["chat", "centrifuge-protobuf", "centrifuge-json"], "", "centrifuge-protobuf", True),
        (["chat"], "", None, False),
        (None, PROTOBUF, None, True),
        (None, "?cf_protocol=json", None, False),
    ],
)
async def test_the_encoding_is_chosen_by_subprotocol_or_query(
    server: Server, offered: list[str] | None, query: str, selected: str | None, binary: bool
) -> None:
    url = server.ws(ENDPOINT + query)
    async with wire(url, connected=False, subprotocols=offered) as one:
        assert one.socket.subprotocol == selected
        await one.socket.send(b"\x04\x08\x01\x22\x00" if binary else CONNECT)
        assert isinstance(await one.socket.recv(), bytes) is binary


async def test_a_client_that_asks_for_too_much_at_once_has_to_wait_and_loses_nothing(server: Server) -> None:
    async with wire(server.ws(ENDPOINT)) as one:
        for start in range(0, 300, 100):
            await one.say(
                *({"id": 10 + start + n, "rpc": {"method": "echo", "data": start + n}} for n in range(100))
            )
        replies = [await one.next() for _ in range(300)]
        assert [reply["rpc"]["data"] for reply in replies] == list(range(300))


async def test_a_client_that_leaves_while_it_is_busy_is_forgotten(server: Server) -> None:
    async with wire(server.ws(ENDPOINT)) as one:
        before = (await state(server))["connections"]
        await one.say(*({"id": 10 + n, "rpc": {"method": "never"}} for n in range(100)))
    await eventually(lambda: _fewer(server, int(before)))


async def _fewer(server: Server, before: int) -> bool:
    return bool((await state(server))["connections"] < before)


async def state(server: Server) -> dict[str, int]:
    async with server.http() as http:
        answer: dict[str, int] = (await http.get("/state")).json()
        return answer


async def test_messages_published_just_before_leaving_are_published(server: Server) -> None:
    name = room("open")
    async with wire(server.ws(ENDPOINT)) as other:
        await other.ask("subscribe", channel=name)
        for number in range(20):
            async with wire(server.ws(ENDPOINT)) as one:
                commands = [
                    {"id": 5 + n, "publish": {"channel": name, "data": [number, n]}} for n in range(5)
                ]
                await one.say(*commands)
        heard = [(await other.push("pub"))["data"] for _ in range(100)]
        assert heard == [[number, n] for number in range(20) for n in range(5)]


async def test_a_message_without_reply_reaches_the_application(server: Server) -> None:
    async with wire(server.ws(ENDPOINT)) as one:
        await one.say({"send": {"data": {"for": "the application"}}})
        await one.ask("ping")
        said = (await state(server))["said"]
        assert json.dumps({"for": "the application"}) in str(said).replace("'", '"')


async def test_what_is_said_to_everyone_and_to_one_user_comes_as_messages(server: Server) -> None:
    async with (
        wire(server.ws(ENDPOINT), server.secret(token("only-ada"))) as ada,
        wire(server.ws(ENDPOINT)) as nobody,
        wire(server.ws(ENDPOINT), connected=False) as stranger,
        server.http() as http,
    ):
        (await http.post("/tell/only-ada", content='{"to":"ada"}')).raise_for_status()
        (await http.post("/broadcast", content='{"to":"all"}')).raise_for_status()
        assert await ada.push("message") == {"data": {"to": "ada"}}
        assert await ada.push("message") == {"data": {"to": "all"}}
        assert await nobody.push("message") == {"data": {"to": "all"}}
        # Who has not said who it is hears nothing.
        await stranger.say({"id": 1, "connect": {}})
        assert "connect" in await stranger.next()
