"""The plain rooms and the plain chat of ``hubbub serve``, and what can be asked about them."""

import asyncio
import json
import urllib.parse

import httpx
import pytest
from polling import eventually
from server_process import ServerProcess
from socket_client import closed, heard, heard_json, heard_until, opened, refusal, rejected


async def ask(server: ServerProcess, path: str) -> object:
    """The JSON of an HTTP route."""
    async with server.http() as http:
        answer = await http.get(path)
    assert answer.status_code == 200
    return answer.json()


def notice(text: str) -> dict[str, str]:
    """What the chat itself says."""
    return {"from": "system", "text": text}


async def test_a_plain_room_speaks_the_tutorials_protocol(served: ServerProcess) -> None:
    async with opened(served, "/ws/room/tea?username=ada") as ada:
        assert await heard(ada) == "A new user joined #tea"
        async with opened(served, "/ws/room/tea") as other:
            assert await heard(other) == await heard(ada) == "A new user joined #tea"
            await other.send("<b>hi</b>")
            assert await heard(other) == await heard(ada) == "[tea] anonymous: <b>hi</b>"
            await ada.send("é")
            assert await heard(other) == await heard(ada) == "[tea] ada: é"
        assert await heard(ada) == "anonymous left"


async def test_the_chat_speaks_the_tutorials_protocol(served: ServerProcess) -> None:
    async with opened(served, "/chat/den?username=ada") as ada:
        assert await heard(ada) == '{"from":"system","text":"ada joined"}'
        async with opened(served, "/chat/den?username=bob") as bob:
            assert await heard_json(bob) == await heard_json(ada) == notice("bob joined")
            for text in ("hi", "", '<img src=x onerror="alert(1)">', '"}\n\u2028\x00', "名前 🦉"):
                await bob.send(text)
                assert await heard_json(bob) == await heard_json(ada) == {"from": "bob", "text": text}
        assert await heard_json(ada) == notice("bob left")


async def test_a_room_and_a_chat_of_one_name_are_two(served: ServerProcess) -> None:
    async with opened(served, "/ws/room/same") as room, opened(served, "/chat/same?username=ada") as chat:
        assert await heard(room) == "A new user joined #same"
        assert await heard_json(chat) == notice("ada joined")
        await room.send("in the room")
        assert await heard(room) == "[same] anonymous: in the room"
        await chat.send("in the chat")
        assert await heard_json(chat) == {"from": "ada", "text": "in the chat"}


async def test_rooms_and_members_can_be_asked_for_while_somebody_is_there(served: ServerProcess) -> None:
    async def nobody() -> bool:
        return await ask(served, "/chat/rooms") == {"rooms": []}

    await eventually(nobody)
    async with (
        opened(served, "/chat/zoo?username=cem"),
        opened(served, "/chat/art?username=bob"),
        opened(served, "/chat/art?username=ada"),
        opened(served, "/chat/art?username=ada") as twice,
        opened(served, "/ws/room/plain?username=eve"),
    ):
        await heard_until(twice, json.dumps(notice("ada joined"), separators=(",", ":")))

        async def all_are_counted() -> bool:
            rooms = [{"room": "art", "members": 2}, {"room": "zoo", "members": 1}]
            return await ask(served, "/chat/rooms") == {"rooms": rooms}

        await eventually(all_are_counted)
        assert await ask(served, "/chat/rooms/art") == {"room": "art", "members": ["ada", "bob"]}
        assert await ask(served, "/chat/rooms/zoo") == {"room": "zoo", "members": ["cem"]}
        assert await ask(served, "/chat/rooms/plain") == {"room": "plain", "members": []}
    await eventually(nobody)
    assert await ask(served, "/chat/rooms/art") == {"room": "art", "members": []}


async def test_a_chat_called_rooms_is_a_chat_like_any_other(served: ServerProcess) -> None:
    async with opened(served, "/chat/rooms?username=ada") as ada:
        assert await heard_json(ada) == notice("ada joined")
        assert await ask(served, "/chat/rooms/rooms") == {"room": "rooms", "members": ["ada"]}


@pytest.mark.parametrize("room", ["a b", "<script>", "é", "*", "x" * 300, "\r\n", "\x00"])
async def test_asking_for_a_room_that_cannot_be_finds_nobody(served: ServerProcess, room: str) -> None:
    found = await ask(served, f"/chat/rooms/{urllib.parse.quote(room, safe='')}")
    assert found == {"room": room, "members": []}


async def test_a_member_that_vanishes_is_gone_from_the_list(served: ServerProcess) -> None:
    async with opened(served, "/chat/ghost?username=ada") as ada:
        assert await ask(served, "/chat/rooms/ghost") == {"room": "ghost", "members": ["ada"]}
        ada.transport.abort()

        async def gone() -> bool:
            return await ask(served, "/chat/rooms/ghost") == {"room": "ghost", "members": []}

        await eventually(gone)


@pytest.mark.parametrize(
    "name", ["system", "System", " system ", "sys\u200btem", "\uff53ystem", "", " ", "\u200b\u200d", "\t\n"]
)
async def test_nobody_can_pass_for_the_system_or_for_nobody(served: ServerProcess, name: str) -> None:
    messages, code = await refusal(served, f"/chat/names?{httpx.QueryParams({'username': name})}")
    assert messages == ['{"type":"error","msg":"Please take another name"}']
    assert code == 1008


@pytest.mark.parametrize("name", ["systems", "the system", "Ada Lovelace", "名前", "🦉", "x" * 64])
async def test_other_names_are_taken_as_they_are(served: ServerProcess, name: str) -> None:
    async with opened(served, f"/chat/names2?{httpx.QueryParams({'username': name})}") as client:
        await heard_until(
            client, json.dumps(notice(f"{name} joined"), separators=(",", ":"), ensure_ascii=False)
        )


async def test_a_name_over_64_characters_is_refused_before_the_upgrade(served: ServerProcess) -> None:
    for path in ("/chat/x", "/ws/room/x"):
        assert await rejected(served, f"{path}?username={'x' * 65}") == 403


@pytest.mark.parametrize("route", ["/chat/", "/ws/room/"])
@pytest.mark.parametrize("room", ["a%20b", "%0d%0a", "*", "%C3%A9", "%3Cscript%3E", "x" * 256])
async def test_a_hostile_room_name_is_refused(served: ServerProcess, route: str, room: str) -> None:
    messages, code = await refusal(served, route + room)
    assert code == 1008
    assert json.loads(messages[0])["msg"].startswith("Invalid room name")


@pytest.mark.parametrize("route", ["/chat/x", "/ws/room/x"])
async def test_messages_that_cannot_be_used_close_with_their_code(served: ServerProcess, route: str) -> None:
    for message, expected in ((b"bytes", 1003), ("x" * 65_537, 1009), ("é" * 32_769, 1009)):
        async with opened(served, route) as client:
            await client.send(message)
            assert (await closed(client))[1] == expected


async def test_a_page_from_elsewhere_is_refused_before_the_upgrade(served: ServerProcess) -> None:
    for path in ("/chat/x", "/ws/room/x"):
        for origin in (
            "http://evil.com",
            "null",
            f"http://127.0.0.1:{served.port}.evil.com",
            "http://127.0.0.1",
        ):
            assert await rejected(served, path, origin=origin) == 403
        async with opened(served, path, origin=served.origin):
            pass


async def test_twenty_members_hear_the_same_in_the_same_order(served: ServerProcess) -> None:
    async def member(number: int) -> list[object]:
        async with opened(served, f"/chat/crowd?username=m{number}") as client:
            while (await heard_json(client)) != notice(f"m{number} joined"):
                pass
            present.add(number)
            await eventually(lambda: len(present) == 20, 20)
            for text in range(3):
                await client.send(str(text))
            said: list[object] = []
            while len(said) < 60:
                message = await heard_json(client)
                if message["from"] != "system":
                    said.append((message["from"], message["text"]))
            done.add(number)
            await eventually(lambda: len(done) == 20, 20)
            return said

    present: set[int] = set()
    done: set[int] = set()
    heard_by_all = await asyncio.gather(*(member(number) for number in range(20)))
    assert all(said == heard_by_all[0] for said in heard_by_all)
    assert len(set(heard_by_all[0])) == 60
