"""What the chat's page can do on the server: write once, edit and delete its own, and tell that it types."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_wire import ENDPOINT, Wire, wire
from server_process import HUBBUB, ServerProcess, running
from socket_client import heard_json, opened

from hubbub.server.authorship import author_of

PERMISSION_DENIED = 103
BAD_REQUEST = 107


class Person:
    """Somebody in one room, with a browser's secret."""

    def __init__(self, one: Wire, room: str, author: str) -> None:
        self.wire = one
        self.room = room
        self.author = author

    async def call(self, method: str, **data: Any) -> Any:
        """The answer of one of the chat's methods, or the code of its refusal."""
        return await self.wire.ask("rpc", method=f"chat.{method}", data={"room": self.room, **data})

    async def kept(self) -> list[tuple[Any, dict[str, str]]]:
        """What the room's history has, as `heard` tells it."""
        page = await self.wire.ask("history", channel=f"chat:{self.room}", limit=100)
        return [(one["data"], one.get("tags", {})) for one in page.get("publications", ())]

    async def heard(self) -> tuple[Any, dict[str, str]]:
        """The next publication: what plain clients see of it, and its tags."""
        while True:
            reply = await self.wire.next()
            if "pub" in reply.get("push", ()):
                published = reply["push"]["pub"]
                return published["data"], published.get("tags", {})


@asynccontextmanager
async def person(
    server: ServerProcess, room: str, name: str = "ada", key: str | None = None
) -> AsyncIterator[Person]:
    """Somebody who has come in."""
    key = key or secrets.token_hex(32)
    async with wire(server.ws(ENDPOINT)) as one:
        answer = await one.ask("subscribe", channel=f"chat:{room}", data={"name": name, "key": key})
        assert answer["data"] == {"author": author_of(key)}
        yield Person(one, room, author_of(key))


async def test_a_message_has_its_author_in_its_id_and_plain_clients_see_a_plain_message(
    served: ServerProcess,
) -> None:
    async with person(served, "mixed") as ada, opened(served, "/chat/mixed?username=bob") as bob:
        assert await heard_json(bob) == {"from": "system", "text": "bob joined"}
        assert await ada.call("say", id="abcdefgh", text="hi") == {}
        said = {"from": "ada", "text": "hi"}
        assert await ada.heard() == (said, {"id": f"{ada.author}.abcdefgh"})
        assert await heard_json(bob) == said
        await bob.send("hello")
        assert await ada.heard() == ({"from": "bob", "text": "hello"}, {})


async def test_a_message_that_is_sent_again_appears_once(served: ServerProcess) -> None:
    async with person(served, "once") as ada:
        for text in ("hi", "hi", "something else"):
            assert await ada.call("say", id="same-id-1", text=text) == {}
        assert await ada.call("say", id="other-id", text="next") == {}
        assert [(await ada.heard())[0]["text"] for _ in range(2)] == ["hi", "next"]


async def test_one_edits_and_deletes_ones_own_message_and_the_history_tells(served: ServerProcess) -> None:
    key = secrets.token_hex(16)
    async with person(served, "edits", key=key) as ada:
        id = f"{ada.author}.abcdefgh"
        await ada.call("say", id="abcdefgh", text="helo")
        assert await ada.call("edit", id=id, text="hello") == {}
    async with person(
        served, "edits", key=key, name="ada l"
    ) as ada:  # the browser is who it is, not the name
        assert await ada.call("delete", id=id) == {}
        notice = ({"from": "system", "text": "ada l deleted a message"}, {"delete": id})
        assert await ada.kept() == [notice]
        assert await ada.call("delete", id=id) == {}
        assert await ada.kept() == [notice]
        assert await ada.call("edit", id=id, text="too late") == PERMISSION_DENIED
        assert await ada.kept() == [notice]


async def test_what_was_edited_or_deleted_leaves_the_history_and_nothing_else_does(
    served: ServerProcess,
) -> None:
    async with person(served, "regrets") as ada, person(served, "regrets", "bob") as bob:
        for one, suffix, text in (
            (ada, "message1", "helo"),
            (bob, "message1", "helo"),
            (ada, "message2", "x"),
        ):
            await one.call("say", id=suffix, text=text)
        first, second = (f"{ada.author}.{suffix}" for suffix in ("message1", "message2"))
        said = 0
        for text in ("hell", "hello"):
            assert await ada.call("edit", id=first, text=text) == {}
            said = said or int((await bob.kept())[-1][1]["said"])
        assert abs(said / 1000 - time.time()) < 600
        assert await bob.call("delete", id=second) == PERMISSION_DENIED
        assert await ada.call("delete", id=second) == {}
        kept = await bob.kept()
        assert int(kept[1][1].pop("said")) == said, "an edit of an edit tells of the first"
        assert kept == [
            ({"from": "bob", "text": "helo"}, {"id": f"{bob.author}.message1"}),
            ({"from": "ada", "text": "hello"}, {"edit": first, "place": "1"}),
            ({"from": "system", "text": "ada deleted a message"}, {"delete": second}),
        ]


async def test_nobody_edits_or_deletes_what_another_browser_wrote(served: ServerProcess) -> None:
    async with person(served, "own") as ada, person(served, "own") as other:
        await ada.call("say", id="abcdefgh", text="mine")
        id = f"{ada.author}.abcdefgh"
        assert await other.call("edit", id=id, text="yours") == PERMISSION_DENIED
        assert await other.call("delete", id=id) == PERMISSION_DENIED
        for bad in ("", "abcdefgh", f"{id}\n", f".{id}", f"{other.author}{id}", f"{id}.{other.author}"):
            assert await other.call("delete", id=bad) == BAD_REQUEST
        await ada.call("say", id="the-last", text="still here")
        assert [(await ada.heard())[1] for _ in range(2)] == [{"id": id}, {"id": f"{ada.author}.the-last"}]


async def test_who_shows_no_key_writes_as_before_and_owns_nothing(served: ServerProcess) -> None:
    async with wire(served.ws(ENDPOINT)) as one:
        answer = await one.ask("subscribe", channel="chat:keyless", data={"name": "ada"})
        assert answer["data"] == {"author": ""}
        keyless = Person(one, "keyless", "")
        assert await one.ask("publish", channel="chat:keyless", data={"text": "hi"}) == {}
        assert await keyless.heard() == ({"from": "ada", "text": "hi"}, {})
        assert await keyless.call("say", id="abcdefgh", text="hi") == PERMISSION_DENIED
        for id in (f"{'0' * 32}.abcdefgh", ".abcdefgh"):
            assert await keyless.call("delete", id=id) in (PERMISSION_DENIED, BAD_REQUEST)


@pytest.mark.parametrize("key", ["", "short", "0" * 31, "g" * 32, "0" * 65, 5, ["0" * 32]])
async def test_a_key_that_could_be_guessed_lets_nobody_in(served: ServerProcess, key: object) -> None:
    async with wire(served.ws(ENDPOINT)) as one:
        data = {"name": "ada", "key": key}
        assert await one.ask("subscribe", channel="chat:keys", data=data) == BAD_REQUEST


async def test_a_name_and_a_key_cannot_change_while_one_is_in_a_room(served: ServerProcess) -> None:
    async with person(served, "first") as ada:
        for data in ({"name": "eve"}, {"name": "ada"}, {"name": "ada", "key": "0" * 32}):
            assert await ada.wire.ask("subscribe", channel="chat:second", data=data) == 400


async def test_one_may_listen_for_who_types_before_one_comes_in(served: ServerProcess) -> None:
    async with wire(served.ws(ENDPOINT)) as one:
        assert await one.ask("subscribe", channel="chat-typing:early") == {}
        entered = await one.ask("subscribe", channel="chat:early", data={"name": "ada", "key": "0" * 32})
        assert entered["data"] == {"author": author_of("0" * 32)}


async def test_texts_are_neither_empty_nor_longer_than_the_page_lets_write(served: ServerProcess) -> None:
    async with person(served, "lengths") as ada:
        for text in ("", "x" * 4001, None, {"a": 1}):
            assert await ada.call("say", id="abcdefgh", text=text) == BAD_REQUEST
        for id in ("", "short", "x" * 65, "with space", "a.b.c.d.e.f"):
            assert await ada.call("say", id=id, text="hi") == BAD_REQUEST


async def test_only_who_is_in_the_room_writes_there(served: ServerProcess) -> None:
    async with person(served, "inside") as ada:
        ada.room = "outside"
        assert await ada.call("say", id="abcdefgh", text="hi") == PERMISSION_DENIED
        assert await ada.call("edit", id=f"{ada.author}.abcdefgh", text="hi") == PERMISSION_DENIED
        assert await ada.call("delete", id=f"{ada.author}.abcdefgh") == PERMISSION_DENIED
        assert await ada.wire.ask("subscribe", channel="chat-typing:outside") == {}
        assert await ada.wire.ask("publish", channel="chat-typing:outside", data={}) == PERMISSION_DENIED


async def test_that_somebody_types_is_told_with_the_name_and_not_kept(served: ServerProcess) -> None:
    room = {"channel": "chat-typing:quick"}
    async with person(served, "quick") as ada, person(served, "quick", "bob") as bob:
        assert await ada.wire.ask("publish", **room, data={}) == PERMISSION_DENIED
        for one in (ada, bob):
            await one.wire.ask("subscribe", **room)
        assert await ada.wire.ask("publish", **room, data={"name": "system"}) == {}
        assert await bob.heard() == ({"name": "ada", "author": ada.author}, {})
        assert await bob.wire.ask("history", **room, limit=10) == 108


async def test_rooms_that_the_settings_give_to_others_keep_their_permissions(tmp_path: Path) -> None:
    settings = tmp_path / "hubbub.toml"
    settings.write_text('[rooms."chat:news"]\nallow_subscribe = "anyone"\n')
    command = [*HUBBUB, "serve", "--drain", "0", "--config", str(settings)]
    with running(command, tmp_path / "log", {"HUBBUB_ANONYMOUS": "true"}, folder=tmp_path) as server:
        async with person(server, "mine") as ada:
            await ada.wire.ask("subscribe", channel="chat:news")
            ada.room = "news"
            assert await ada.call("say", id="abcdefgh", text="hi") == PERMISSION_DENIED
            assert await ada.wire.ask("publish", channel="chat-typing:news", data={}) == PERMISSION_DENIED
