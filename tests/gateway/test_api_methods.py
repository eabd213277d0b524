"""Every method of the API that needs one node only, asked with the official library."""

import asyncio
import base64
import json
import time
from typing import Any

import cent
import pytest
from api_servers import KEY, api
from centrifuge import DeltaType
from gateway_sdk import Guest, Server, guest, room
from websockets.asyncio.client import connect

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def backend(api_server: Server) -> cent.Client:
    return api(api_server)


async def of_room(one: Guest, kind: str, room: str) -> Any:
    """The next event of a server-side subscription to this room."""
    while True:
        told = await one.events.next(kind)
        if told.channel == room:
            return told


def code(call: object, *arguments: object) -> int:
    """The code of the error with which a method answers."""
    with pytest.raises(cent.CentApiResponseError) as error:
        call(*arguments)  # type: ignore[operator]
    return error.value.code


async def test_what_is_published_reaches_clients_of_all_kinds_with_its_position_and_tags(
    api_server: Server, backend: cent.Client
) -> None:
    chat = room("chat")
    async with (
        guest(api_server) as json_client,
        guest(api_server, protobuf=True) as protobuf_client,
        connect(api_server.ws(f"/plain/{chat}"), proxy=None) as plain,
    ):
        entered = [await one.enter(chat) for one in (json_client, protobuf_client)]
        request = cent.PublishRequest(channel=chat, data={"text": "é"}, tags={"a": "b"})
        first = backend.publish(request)
        second = backend.publish(cent.PublishRequest(channel=chat, data={"text": "é"}))
        assert (first.offset, second.offset) == (1, 2)
        assert first.epoch == second.epoch != ""
        for _, events, _ in entered:
            told = (await events.next("publication")).pub
            data = json.loads(told.data) if isinstance(told.data, bytes) else told.data
            assert (data, told.offset, told.tags) == ({"text": "é"}, 1, {"a": "b"})
        assert json.loads(await plain.recv()) == {"text": "é"}


async def test_bytes_reach_clients_as_bytes_and_json_in_base64_as_json(
    api_server: Server, backend: cent.Client
) -> None:
    opened = room("open")
    async with guest(api_server, protobuf=True) as one:
        _, events, _ = await one.enter(opened)
        for data in (b"\x00\xff", b'{"a":1}'):
            encoded = base64.b64encode(data).decode()
            backend.publish(cent.PublishRequest(channel=opened, data=None, b64data=encoded))
            assert (await events.next("publication")).pub.data == data


async def test_a_users_own_room_is_known_without_a_pattern(api_server: Server, backend: cent.Client) -> None:
    user = room("user")
    async with guest(api_server, user) as one:
        await one.events.next("subscribed")
        backend.publish(cent.PublishRequest(channel=f"me:{user}", data="for you"))
        assert (await one.events.next("publication")).pub.data == "for you"


async def test_a_publish_with_the_same_key_is_made_once_in_each_channel(backend: cent.Client) -> None:
    first, other = room("chat"), room("chat")
    request = cent.PublishRequest(channel=first, data=1, idempotency_key="k")
    assert backend.publish(request) == backend.publish(request)
    assert backend.publish(cent.PublishRequest(channel=other, data=1, idempotency_key="k")).offset == 1
    assert backend.history(cent.HistoryRequest(channel=first)).offset == 1


async def test_a_publish_that_skips_history_is_delivered_and_not_kept(
    api_server: Server, backend: cent.Client
) -> None:
    chat = room("chat")
    async with guest(api_server) as one:
        _, events, _ = await one.enter(chat)
        skipped = backend.publish(cent.PublishRequest(channel=chat, data="skipped", skip_history=True))
        kept = backend.publish(cent.PublishRequest(channel=chat, data="kept"))
        assert (skipped.offset, kept.offset) == (0, 1)
        told = [(await events.next("publication")).pub for _ in range(2)]
        assert [(one.data, one.offset) for one in told] == [("skipped", 0), ("kept", 1)]
    page = backend.history(cent.HistoryRequest(channel=chat, limit=-1))
    assert [one.data for one in page.publications] == ["kept"]


async def test_deltas_are_understood_also_when_one_is_not_kept(
    api_server: Server, backend: cent.Client
) -> None:
    deltas = room("delta")
    texts = ["a" * 100 + str(number) for number in range(4)]
    async with guest(api_server) as one:
        _, events, _ = await one.enter(deltas, delta=DeltaType.FOSSIL)
        for number, text in enumerate(texts):
            request = cent.PublishRequest(channel=deltas, data=text, delta=True, skip_history=number == 2)
            backend.publish(request)
        assert [(await events.next("publication")).pub.data for _ in texts] == texts


async def test_a_broadcast_has_a_response_for_each_channel(backend: cent.Client) -> None:
    first, second = room("chat"), room("open")
    request = cent.BroadcastRequest(channels=[first, "nowhere", second, "", "no space"], data={"a": 1})
    responses = backend.broadcast(request).responses
    assert [one.error.code if one.error else 0 for one in responses] == [0, 102, 0, 107, 107]
    assert [one.result.offset if one.result else None for one in responses] == [1, None, 0, None, None]
    many = [room("open") for _ in range(300)]
    assert len(backend.broadcast(cent.BroadcastRequest(channels=many, data=1)).responses) == 300
    assert code(backend.broadcast, cent.BroadcastRequest(channels=[], data=1)) == 107


async def test_history_is_read_forwards_backwards_and_after_a_position(backend: cent.Client) -> None:
    chat = room("chat")
    for number in range(5):
        backend.publish(cent.PublishRequest(channel=chat, data=number))
    position = backend.history(cent.HistoryRequest(channel=chat))
    assert (position.offset, position.publications) == (5, [])

    def read(**options: object) -> list[int]:
        page = backend.history(cent.HistoryRequest(channel=chat, **options))  # type: ignore[arg-type]
        assert (page.offset, page.epoch) == (5, position.epoch)
        return [one.data for one in page.publications]

    since = cent.StreamPosition(offset=3, epoch=position.epoch)
    assert read(limit=2) == [0, 1]
    assert read(limit=-1) == [0, 1, 2, 3, 4]
    assert read(limit=2, reverse=True) == [4, 3]
    assert read(limit=10, since=since) == [3, 4]
    assert read(limit=10, since=since, reverse=True) == [1, 0]
    assert read(limit=10, since=cent.StreamPosition(offset=4, epoch="")) == [4]
    gone = cent.HistoryRequest(channel=chat, limit=1, since=cent.StreamPosition(offset=1, epoch="other"))
    assert code(backend.history, gone) == 112
    backend.history_remove(cent.HistoryRemoveRequest(channel=chat))
    assert read(limit=-1) == []
    assert code(backend.history, cent.HistoryRequest(channel=chat, limit=1, since=since)) == 112
    assert read(limit=-1, since=cent.StreamPosition(offset=0, epoch="")) == []  # whatever there is


async def test_one_publication_is_erased_and_the_others_are_found_as_before(
    api_server: Server, backend: cent.Client
) -> None:
    chat = room("chat")
    made = [backend.publish(cent.PublishRequest(channel=chat, data=number)) for number in range(5)]

    async def erase(**request: object) -> object:
        async with api_server.http() as http:
            answer = await http.post("/api/history_erase", json=request, headers={"X-API-Key": KEY})
            return answer.json()

    assert await erase(channel=chat, offset=2) == {"result": {"erased": True}}
    assert await erase(channel=chat, offset=5, epoch=made[4].epoch) == {"result": {"erased": True}}
    for offset, epoch in ((2, ""), (5, made[4].epoch), (1, "other"), (6, ""), (0, ""), (2**63 - 1, "")):
        assert await erase(channel=chat, offset=offset, epoch=epoch) == {"result": {"erased": False}}
    assert (await erase(channel=room("open"), offset=1))["error"]["code"] == 108
    assert (await erase(channel="nowhere", offset=1))["error"]["code"] == 102

    def read(**options: object) -> list[int]:
        page = backend.history(cent.HistoryRequest(channel=chat, **options))  # type: ignore[arg-type]
        assert page.offset == 5
        return [one.offset for one in page.publications]

    since = cent.StreamPosition(offset=1, epoch=made[0].epoch)
    assert read(limit=2) == [1, 3]
    assert read(limit=-1, since=since) == [3, 4]
    assert read(limit=2, reverse=True) == [4, 3]
    top = cent.StreamPosition(offset=4, epoch=made[0].epoch)
    assert read(limit=2, since=top, reverse=True) == [3, 1]
    assert read(limit=2, since=top) == []


async def test_a_channel_without_history_or_presence_says_so(backend: cent.Client) -> None:
    opened = room("open")
    assert code(backend.history, cent.HistoryRequest(channel=opened)) == 108
    assert code(backend.history_remove, cent.HistoryRemoveRequest(channel=opened)) == 108
    assert code(backend.presence, cent.PresenceRequest(channel=opened)) == 108
    assert code(backend.presence_stats, cent.PresenceStatsRequest(channel=opened)) == 108


async def test_presence_tells_who_is_there(api_server: Server, backend: cent.Client) -> None:
    chat = room("chat")
    async with guest(api_server, "ada") as ada, guest(api_server, "ada"), guest(api_server, "bob") as bob:
        await ada.enter(chat)
        await bob.enter(chat)
        found = backend.presence(cent.PresenceRequest(channel=chat)).presence
        assert sorted(one.user for one in found.values()) == ["ada", "bob"]
        assert all(one.client == id for id, one in found.items())
        stats = backend.presence_stats(cent.PresenceStatsRequest(channel=chat))
        assert (stats.num_clients, stats.num_users) == (2, 2)


async def test_channels_are_found_by_pattern(api_server: Server, backend: cent.Client) -> None:
    first, second = room("chat"), room("open")
    async with guest(api_server) as one, connect(api_server.ws(f"/plain/{second}"), proxy=None):
        await one.enter(first)
        await one.enter(second)
        number = first.partition(":")[2]
        patterns = ("*at:{n}", "c*:{n}", "cha?:{n}", "{{x,chat}}:{n}", "[a-d]hat:{n}", "[!x]hat:{n}")
        for pattern in (one.format(n=number) for one in patterns):
            found = backend.channels(cent.ChannelsRequest(pattern=pattern)).channels
            assert found[first].num_clients == 1, pattern
            assert second not in found
        assert backend.channels(cent.ChannelsRequest()).channels[second].num_clients == 2
    for malformed in ("{a", "a}", "{{a}}", "a" * 300, "{a,b}" * 10):
        assert code(backend.channels, cent.ChannelsRequest(pattern=malformed)) == 107


async def test_info_counts_what_there_is(api_server: Server, backend: cent.Client) -> None:
    async with guest(api_server, "ada") as one, guest(api_server, "ada"):
        await one.enter(room("chat"))
        (node,) = backend.info(cent.InfoRequest()).nodes
    assert node.version == "1.2.3"
    assert node.num_clients >= 2
    assert node.num_users >= 1
    assert node.num_channels >= 2  # with ada's own
    assert node.num_subs >= 3
    assert node.uptime >= 0
    assert node.uid
    assert node.name


async def test_a_server_subscribes_and_unsubscribes_a_user(api_server: Server, backend: cent.Client) -> None:
    secret, user = room("secret"), room("user")
    position = backend.publish(cent.PublishRequest(channel=secret, data="before"))
    async with guest(api_server, user) as one, guest(api_server, user) as other:
        request = cent.SubscribeRequest(
            user=user,
            channel=secret,
            client=(await one.events.next("connected")).client,
            data={"hello": 1},
            recover_since=cent.StreamPosition(offset=0, epoch=position.epoch),
            override=cent.ChannelOptionsOverride(force_recovery=cent.BoolValue(value=True)),
        )
        backend.subscribe(request)
        told = await of_room(one, "subscribed", secret)
        assert told.data == {"hello": 1}
        assert (await of_room(one, "publication", secret)).pub.data == "before"
        backend.publish(cent.PublishRequest(channel=secret, data="after"))
        assert (await of_room(one, "publication", secret)).pub.data == "after"
        backend.unsubscribe(cent.UnsubscribeRequest(user=user, channel=secret))
        await of_room(one, "unsubscribed", secret)
        assert [told.channel for told in other.events.waiting("subscribed")] == [f"me:{user}"]
    assert code(backend.subscribe, cent.SubscribeRequest(user=user, channel="nowhere")) == 102
    assert code(backend.subscribe, cent.SubscribeRequest(user="", channel=secret)) == 107


async def test_a_batch_is_answered_in_its_order(backend: cent.Client) -> None:
    chat = room("chat")
    for parallel in (False, True):
        batch = cent.BatchRequest(
            requests=[
                cent.PublishRequest(channel=chat, data=1),
                cent.BroadcastRequest(channels=[chat], data=2),
                cent.PresenceStatsRequest(channel=chat),
                cent.InfoRequest(),
            ],
            parallel=parallel,
        )
        published, broadcast, stats, info = backend.batch(batch).replies
        assert isinstance(published, cent.PublishResult)
        assert published.offset
        assert isinstance(broadcast, cent.BroadcastResult)
        assert isinstance(stats, cent.PresenceStatsResult)
        assert isinstance(info, cent.InfoResult)
        assert len(info.nodes) == 1


async def test_the_library_works_with_asyncio_too(api_server: Server) -> None:
    client = cent.AsyncClient(f"{api_server.origin}/api", api_server.secret(KEY))
    try:
        chat = room("chat")
        results = await asyncio.gather(
            *(client.publish(cent.PublishRequest(channel=chat, data=number)) for number in range(20))
        )
        assert sorted(one.offset for one in results) == list(range(1, 21))
        (node,) = (await client.info(cent.InfoRequest())).nodes
        assert node.uid
    finally:
        await client._session.close()


async def test_refresh_prolongs_or_ends_a_user(api_server: Server, backend: cent.Client) -> None:
    user = room("user")
    async with guest(api_server, user) as one:
        backend.refresh(cent.RefreshRequest(user=user, expire_at=int(time.time()) + 60))
        assert code(backend.refresh, cent.RefreshRequest(user=user, expire_at=1)) == 107
        await one.events.next("connected")
        backend.refresh(cent.RefreshRequest(user=user, expired=True))
        assert (await one.events.next("connecting")).code == 3005
        await one.events.next("connected")
