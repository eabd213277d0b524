"""Where clients of the tutorial app hear each other: the manager, rooms, alerts and the chat."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

from polling import eventually
from server_process import ServerProcess
from socket_client import closed, heard, heard_json, heard_until, opened, refusal
from talking import LIMIT, TEXTS, ask
from websockets.asyncio.client import ClientConnection

# Connection manager


async def heard_of(client: ClientConnection, *numbers: int) -> str | bytes:
    """The next message about one of these clients: those of other tests may still be leaving."""
    while True:
        message = str(await heard(client))
        if message.startswith("You said: ") or any(f"Client #{number}" in message for number in numbers):
            return message


async def test_clients_hear_their_own_words_back_first_and_everybody_hears_all_in_one_order(
    tutorial: ServerProcess,
) -> None:
    ours = (101, 102)
    async with opened(tutorial, "/ws/client/102") as bob:
        async with opened(tutorial, "/ws/client/101") as ada:
            for text in ("one", "two"):
                await ada.send(text)
            assert [await heard_of(ada, *ours) for _ in range(4)] == [
                "You said: one",
                "Client #101: one",
                "You said: two",
                "Client #101: two",
            ]
            assert [await heard_of(bob, *ours) for _ in range(2)] == ["Client #101: one", "Client #101: two"]
            await bob.send("hi")
            assert await heard_of(bob, *ours) == "You said: hi"
            assert await heard_of(bob, *ours) == "Client #102: hi"
            assert await heard_of(ada, *ours) == "Client #102: hi"
        assert await heard_of(bob, *ours) == "Client #101 left"


async def test_a_client_that_vanishes_without_a_word_has_left_too(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/client/104") as bob, opened(tutorial, "/ws/client/103") as ada:
        assert await ask(ada, "hi") == "You said: hi"
        ada.transport.abort()
        await heard_until(bob, "Client #103 left")


async def test_a_client_that_sends_too_much_has_left_too(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/client/106") as bob, opened(tutorial, "/ws/client/105") as ada:
        await ada.send("x" * (LIMIT + 1))
        await heard_until(bob, "Client #105 left")
        assert (await closed(ada))[1] == 1009


async def test_a_client_that_sends_bytes_has_left_too(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/client/110") as bob, opened(tutorial, "/ws/client/109") as ada:
        await ada.send(b"bytes")
        await heard_until(bob, "Client #109 left")
        assert (await closed(ada))[1] == 1003


async def test_the_alerts_do_not_reach_the_clients_and_the_other_way_round(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/room/apart") as room, opened(tutorial, "/ws/client/107") as client:
        assert await heard(room) == "A new user joined #apart"
        assert await ask(client, "hi") == "You said: hi"
        await heard_until(client, "Client #107: hi")
        assert await ask(room, "still here") == "[apart] anonymous: still here"


# Rooms


async def test_a_room_hears_who_joined_what_is_said_and_who_left(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/room/tea?username=ada") as ada:
        assert await heard(ada) == "A new user joined #tea"
        async with opened(tutorial, "/ws/room/tea?username=bob") as bob:
            assert await heard(ada) == "A new user joined #tea"
            assert await heard(bob) == "A new user joined #tea"
            await bob.send("hi")
            await ada.send("hello")
            said = {await heard(ada), await heard(ada)}
            assert said == {"[tea] bob: hi", "[tea] ada: hello"}
            assert {await heard(bob), await heard(bob)} == said
        assert await heard(ada) == "bob left"


async def test_two_members_hear_a_hundred_messages_of_two_speakers_in_one_order(
    tutorial: ServerProcess,
) -> None:
    async with (
        opened(tutorial, "/ws/room/busy?username=ada") as ada,
        opened(tutorial, "/ws/room/busy?username=bob") as bob,
    ):
        await heard_until(bob, "A new user joined #busy")
        await asyncio.gather(*(one.send(str(number)) for number in range(50) for one in (ada, bob)))
        heard_by_bob = [await heard(bob) for _ in range(100)]
        heard_by_ada = [await heard(ada) for _ in range(102)][2:]
        assert heard_by_ada == heard_by_bob
        for name in ("ada", "bob"):
            own = [text for text in heard_by_bob if f"{name}: " in str(text)]
            assert own == [f"[busy] {name}: {number}" for number in range(50)]


async def test_rooms_do_not_hear_each_other(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/ws/room/left") as one, opened(tutorial, "/ws/room/right") as other:
        assert await heard(one) == "A new user joined #left"
        assert await heard(other) == "A new user joined #right"
        await one.send("hi")
        assert await heard(one) == "[left] anonymous: hi"
        assert await ask(other, "hi") == "[right] anonymous: hi"


async def test_whoever_vanishes_from_a_room_has_left_it(tutorial: ServerProcess) -> None:
    async with (
        opened(tutorial, "/ws/room/thin?username=ada") as ada,
        opened(tutorial, "/ws/room/thin?username=bob") as bob,
    ):
        await heard(bob)
        bob.transport.abort()
        await heard_until(ada, "bob left")


# Broadcast over HTTP


async def broadcast(tutorial: ServerProcess, api_key: str, message: str) -> int:
    """How many an alert was sent to."""
    async with tutorial.http() as http:
        answer = await http.post(
            "/admin/broadcast", params={"message": message}, headers={"X-API-Key": api_key}
        )
    assert answer.status_code == 200
    assert list(answer.json()) == ["sent_to"]
    return int(answer.json()["sent_to"])


async def test_an_alert_reaches_everybody_and_the_answer_says_how_many(
    tutorial: ServerProcess, api_key: str
) -> None:
    async def nobody_is_left() -> bool:
        return await broadcast(tutorial, api_key, "nobody") == 0

    await eventually(nobody_is_left)
    async with opened(tutorial, "/ws/alerts") as ada, opened(tutorial, "/ws/alerts") as bob:
        assert await broadcast(tutorial, api_key, "<b>é</b>") == 2
        alert = await heard_json(ada)
        assert await heard_json(bob) == alert
        assert list(alert) == ["type", "data", "ts"]
        assert alert["type"] == "admin_alert"
        assert alert["data"] == {"message": "<b>é</b>"}
        assert abs(datetime.fromisoformat(alert["ts"]) - datetime.now(UTC)) < timedelta(minutes=1)
    await eventually(nobody_is_left)


async def test_an_alert_can_be_a_json_body_and_must_say_something(
    tutorial: ServerProcess, api_key: str
) -> None:
    async with (
        opened(tutorial, "/ws/alerts") as client,
        tutorial.http(headers={"X-API-Key": api_key}) as http,
    ):
        answer = await http.post("/admin/broadcast", json={"message": "down at noon"})
        assert answer.status_code == 200
        assert (await heard_json(client))["data"] == {"message": "down at noon"}
        for wrong in ({}, {"text": "x"}, {"message": 5}, [], "x"):
            assert (await http.post("/admin/broadcast", json=wrong)).status_code == 422
        assert (await http.post("/admin/broadcast")).status_code == 422
        assert (await http.post("/admin/broadcast", content=b"{")).status_code == 422
        assert (await http.get("/admin/broadcast")).status_code == 405


async def test_what_clients_say_to_the_alerts_is_thrown_away(tutorial: ServerProcess, api_key: str) -> None:
    async with opened(tutorial, "/ws/alerts") as client:
        for message in ("hi", b"hi", "{"):
            await client.send(message)
        await broadcast(tutorial, api_key, "still here")
        assert (await heard_json(client))["data"] == {"message": "still here"}


# The chat


async def test_the_chat_tells_who_joined_what_was_said_and_who_left(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/chat/den?username=ada") as ada:
        assert await heard(ada) == '{"from":"system","text":"ada joined"}'
        async with opened(tutorial, "/chat/den?username=bob") as bob:
            assert await heard_json(ada) == {"from": "system", "text": "bob joined"}
            assert await heard_json(bob) == {"from": "system", "text": "bob joined"}
            for text in TEXTS[:-1]:
                await bob.send(text)
                assert await heard_json(ada) == {"from": "bob", "text": text}
                assert await heard_json(bob) == {"from": "bob", "text": text}
        assert await heard(ada) == '{"from":"system","text":"bob left"}'


async def test_nobody_can_speak_as_the_system(tutorial: ServerProcess) -> None:
    for name in ("system", "System", "SYSTEM"):
        messages, code = await refusal(tutorial, f"/chat/den2?username={name}")
        assert [json.loads(message)["type"] for message in messages] == ["error"]
        assert code == 1008


async def test_nobody_hears_of_one_who_was_refused(tutorial: ServerProcess) -> None:
    async with opened(tutorial, "/chat/den3?username=ada") as ada:
        assert (await heard_json(ada))["text"] == "ada joined"
        await refusal(tutorial, "/chat/den3?username=system")
        await ada.send("only this")
        assert await heard_json(ada) == {"from": "ada", "text": "only this"}
