"""The official Python SDK against a real server, in both encodings."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from centrifuge import DeltaType, ReplyError, StreamPosition
from gateway_sdk import Guest, RoomEvents, Server, guest, room, token
from polling import eventually

BOTH = pytest.mark.parametrize("protobuf", [False, True], ids=["json", "protobuf"])


async def say(server: Server, name: str, text: str) -> None:
    async with server.http() as http:
        (await http.post(f"/publish/{name}", content=text)).raise_for_status()


@BOTH
async def test_a_client_publishes_and_hears_itself_and_others(server: Server, protobuf: bool) -> None:
    name = room("chat")
    async with guest(server, "ada", protobuf=protobuf) as ada, guest(server, "bob", protobuf=protobuf) as bob:
        mine, heard, began = await ada.enter(name)
        _, also_heard, _ = await bob.enter(name)
        assert began.recoverable
        assert began.positioned
        assert not began.was_recovering
        for number in range(3):
            await mine.publish(ada.data(f'{{"n":{number}}}'))
        for events in (heard, also_heard):
            got = [(await events.next("publication")).pub for _ in range(3)]
            assert [one.data for one in got] == [ada.data(f'{{"n":{number}}}') for number in range(3)]
            assert [one.offset for one in got] == [1, 2, 3]
            assert {one.info.user for one in got} == {"ada"}


@BOTH
async def test_a_client_asks_for_history_page_by_page(server: Server, protobuf: bool) -> None:
    name = room("chat")
    for number in range(5):
        await say(server, name, json.dumps(number))
    async with guest(server, protobuf=protobuf) as ada:
        mine, _, _ = await ada.enter(name)
        first = await mine.history(limit=2)
        rest = await mine.history(limit=10, since=StreamPosition(2, first.epoch))
        newest = await mine.history(limit=2, reverse=True)
        before = await mine.history(limit=2, since=StreamPosition(4, first.epoch), reverse=True)
        top = await mine.history(limit=0)
    assert [one.offset for one in first.publications] == [1, 2]
    assert [one.offset for one in rest.publications] == [3, 4, 5]
    assert [one.offset for one in newest.publications] == [5, 4]
    assert [one.offset for one in before.publications] == [3, 2]
    assert (top.publications, top.offset) == ([], 5)


@BOTH
async def test_members_see_who_is_there_and_who_comes_and_goes(server: Server, protobuf: bool) -> None:
    name = room("chat")
    known = {"get_token": _tokens(server, "ada", info={"name": "Ada"})}
    async with guest(server, protobuf=protobuf, **known) as ada:
        mine, events, _ = await ada.enter(name)
        async with guest(server, "bob", protobuf=protobuf) as bob:
            theirs, _, _ = await bob.enter(name)
            assert await _joined(events, "bob")
            present = (await mine.presence()).clients
            assert sorted(one.user for one in present.values()) == ["ada", "bob"]
            infos = {one.user: one.conn_info for one in present.values()}
            assert infos["ada"] == ada.data('{"name":"Ada"}')
            assert all(client == one.client for client, one in present.items())
            stats = await mine.presence_stats()
            assert (stats.num_clients, stats.num_users) == (2, 2)
            await theirs.unsubscribe()
            assert (await events.next("leave")).info.user == "bob"


async def _joined(events: Any, user: str) -> bool:
    while (await events.next("join")).info.user != user:
        pass
    return True


def _tokens(server: Server, user: str, **claims: object) -> Callable[[], Any]:
    async def fetch() -> str:
        return server.secret(token(user, **claims))

    return fetch


@BOTH
async def test_a_method_answers_or_refuses_with_its_own_code(server: Server, protobuf: bool) -> None:
    async with guest(server, protobuf=protobuf) as ada:
        assert (await ada.sdk.rpc("echo", ada.data('[1,{"a":null}]'))).data == ada.data('[1,{"a":null}]')
        codes = {}
        for method in ("refused", "unheard-of", "broken"):
            with pytest.raises(ReplyError) as refusal:
                await ada.sdk.rpc(method, ada.data("1"))
            codes[method] = (refusal.value.code, refusal.value.temporary)
    assert codes == {"refused": (1_000, False), "unheard-of": (104, False), "broken": (100, True)}


# Coming back


@BOTH
async def test_a_client_that_comes_back_gets_what_it_missed_once_and_in_order(
    server: Server, protobuf: bool
) -> None:
    name = room("chat")
    async with guest(server, protobuf=protobuf) as ada:
        _, events, _ = await ada.enter(name)
        await say(server, name, '"before"')
        assert (await events.next("publication")).pub.data == ada.data('"before"')
        await lose(ada)
        for number in range(5):
            await say(server, name, str(number))
        await ada.sdk.connect()
        again = await events.next("subscribed")
        assert (again.was_recovering, again.recovered) == (True, True)
        await say(server, name, '"after"')
        got = [(await events.next("publication")).pub for _ in range(6)]
        assert [one.data for one in got] == [*map(ada.data, "01234"), ada.data('"after"')]
        assert [one.offset for one in got] == [2, 3, 4, 5, 6, 7]


async def lose(one: Guest) -> None:
    """The client's link breaks, without a close frame, and it does not come back before `connect`."""
    assert one.sdk._conn is not None
    transport = one.sdk._conn.transport
    await one.sdk.disconnect()
    transport.abort()


@BOTH
async def test_a_client_that_missed_too_much_is_told_so_and_gets_no_part(
    server: Server, protobuf: bool
) -> None:
    name = room("short")
    async with guest(server, protobuf=protobuf) as ada:
        _, events, _ = await ada.enter(name)
        await lose(ada)
        for number in range(4):
            await say(server, name, str(number))
        await ada.sdk.connect()
        again = await events.next("subscribed")
        assert (again.was_recovering, again.recovered) == (True, False)
        await say(server, name, "4")
        assert (await events.next("publication")).pub.offset == 5


@BOTH
async def test_in_a_room_with_cache_the_newest_is_enough(server: Server, protobuf: bool) -> None:
    name = room("cache")
    for number in range(3):
        await say(server, name, str(number))
    async with guest(server, protobuf=protobuf) as ada:
        mine, events, _ = await ada.enter(name)
        await mine.unsubscribe()
        for number in range(3, 6):
            await say(server, name, str(number))
        await mine.subscribe()
        again = await events.next("subscribed")
        assert again.recovered
        assert (await events.next("publication")).pub.data == ada.data("5")
        assert not events.waiting("publication")


@BOTH
async def test_deltas_are_understood_from_the_first_publication_on(server: Server, protobuf: bool) -> None:
    name = room("delta")
    texts = [json.dumps({"text": "what stays the same " * 20, "n": number}) for number in range(12)]
    async with guest(server, protobuf=protobuf) as ada, guest(server, "bob", protobuf=protobuf) as bob:
        _, early, _ = await ada.enter(name, delta=DeltaType.FOSSIL)
        for text in texts[:4]:
            await say(server, name, text)
        _, late, _ = await bob.enter(name, delta=DeltaType.FOSSIL)
        for text in texts[4:8]:
            await say(server, name, text)
        await lose(ada)
        for text in texts[8:10]:
            await say(server, name, text)
        await ada.sdk.connect()
        assert (await early.next("publication")).pub.offset == 1
        heard = [(await early.next("publication")).pub for _ in range(9)]
        for text in texts[10:]:
            await say(server, name, text)
        heard += [(await early.next("publication")).pub for _ in range(2)]
        also = [(await late.next("publication")).pub for _ in range(8)]
        assert [one.data for one in heard] == [ada.data(text) for text in texts[1:]]
        assert [one.data for one in also] == [bob.data(text) for text in texts[4:]]


# Who may


async def test_a_client_with_a_wrong_token_is_sent_away_for_good(server: Server) -> None:
    forged = server.secret(token("ada") + "x")
    async with guest(server, token=forged, ready=False) as one:
        assert (await one.events.next("disconnected")).code == 3500


async def test_a_client_with_an_old_token_fetches_a_new_one(server: Server) -> None:
    fetched = []

    async def fetch() -> str:
        fetched.append(1)
        return server.secret(token("ada", ttl=3_600 if len(fetched) > 1 else -60))

    async with guest(server, get_token=fetch, ready=False) as one:
        await one.events.next("connected")
    assert len(fetched) == 2


async def test_a_token_is_refreshed_on_the_open_connection(server: Server) -> None:
    fetched = []

    async def fetch() -> str:
        fetched.append(1)
        return server.secret(token("ada", ttl=1.5 if len(fetched) == 1 else 3_600))

    async with guest(server, get_token=fetch) as ada:
        await eventually(lambda: len(fetched) == 2, seconds=10)
        assert (await ada.sdk.rpc("echo", 1)).data == 1
        assert len(ada.events.waiting("connected")) == 1


async def test_a_room_for_tokens_needs_one_for_this_room_and_this_user(server: Server) -> None:
    name = room("secret")
    good = server.secret(token("ada", channel=name))
    bad = {
        "none": "",
        "another user's": server.secret(token("bob", channel=name)),
        "another room's": server.secret(token("ada", channel=room("secret"))),
        "of a connection": server.secret(token("ada")),
        "forged": good[:-4] + "AAAA",
    }
    async with guest(server) as ada:
        for what, shown in bad.items():
            subscription, events = await _try(ada, name, shown)
            assert (await events.next("unsubscribed")).code == 103, what
            ada.sdk.remove_subscription(subscription)
        mine, _, _ = await ada.enter(name, token=good)
        await mine.publish({"allowed": "because of the token"})


async def _try(ada: Guest, name: str, shown: str) -> tuple[Any, Any]:
    events = RoomEvents()
    subscription = ada.sdk.new_subscription(name, events=events, token=shown)
    await subscription.subscribe()
    return subscription, events


async def test_a_subscription_token_is_refreshed(server: Server) -> None:
    name = room("secret")
    fetched = []

    async def fetch(_: str) -> str:
        fetched.append(1)
        ttl = {1: -60.0, 2: 1.5}.get(len(fetched), 3_600)  # the first one is old already
        return server.secret(token("ada", ttl=ttl, channel=name))

    async with guest(server) as ada:
        _, events, _ = await ada.enter(name, get_token=fetch)
        await eventually(lambda: len(fetched) == 3, seconds=10)
        await say(server, name, "1")
        assert (await events.next("publication")).pub.data == 1
        assert not events.waiting("unsubscribed")


# Rooms that the server chooses


@BOTH
async def test_a_token_subscribes_its_client_to_rooms(server: Server, protobuf: bool) -> None:
    name, other = room("news"), room("news")
    extra = base64.b64encode(b'{"from":"the token"}').decode()
    fetch = _tokens(server, "ada", channels=[name], subs={other: {"b64data": extra}})
    async with guest(server, protobuf=protobuf, get_token=fetch) as ada:
        began = {(context := await ada.events.next("subscribed")).channel: context for _ in range(3)}
        assert set(began) == {name, other, "user:ada"}
        assert began[other].data == ada.data('{"from":"the token"}')
        await say(server, name, "1")
        heard = await ada.events.next("publication")
        assert (heard.channel, heard.pub.data) == (name, ada.data("1"))
        await lose(ada)
        await say(server, name, "2")
        await ada.sdk.connect()
        again = await ada.events.next("publication")
        assert (again.channel, again.pub.data, again.pub.offset) == (name, ada.data("2"), 2)
        await say(server, "user:ada", "3")
        assert (await ada.events.next("publication")).channel == "user:ada"


async def test_many_commands_of_one_client_are_answered_at_the_same_time(server: Server) -> None:
    async with guest(server) as ada:
        names = [room("open") for _ in range(50)]
        began = await asyncio.gather(*(ada.enter(name) for name in names))
        published = [one.publish({"n": number}) for number, (one, _, _) in enumerate(began)]
        await asyncio.gather(*published, *(ada.sdk.rpc("slow", None) for _ in range(5)))
        for number, (_, events, _) in enumerate(began):
            assert (await events.next("publication")).pub.data == {"n": number}
