"""What the API does on all nodes: two of them over a real Valkey, asked through one."""

import os
import signal
import time

import cent
import jwt
import pytest
from api_servers import Cluster, api, wait_for_nodes
from gateway_sdk import SECRET, Guest, Server, guest, room, token
from gateway_wire import ENDPOINT, wire
from polling import eventually
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def backend(api_cluster: Cluster) -> cent.Client:
    """Asks the first of the nodes."""
    return api(api_cluster.near)


async def closed(one: Guest) -> int:
    """The code with which a client was sent away for good."""
    told = await one.events.next("disconnected")
    return int(told.code)


async def refusal(server: Server, shown: str) -> int | None:
    """The code of the refusal; None if the client is let in."""
    async with wire(server.ws(ENDPOINT), connected=False) as one:
        await one.say({"id": 1, "connect": {"token": server.secret(shown)}})
        try:
            await one.next()
        except ConnectionClosed:
            return one.socket.close_code
        return None


async def test_channels_and_info_count_what_all_nodes_have(
    api_cluster: Cluster, backend: cent.Client
) -> None:
    chat, opened = room("chat"), room("open")
    async with (
        guest(api_cluster.near, "ada") as here,
        guest(api_cluster.far, "ada") as there,
        connect(api_cluster.far.ws(f"/plain/{opened}"), proxy=None),
    ):
        await here.enter(chat)
        await there.enter(chat)
        await eventually(lambda: opened in backend.channels(cent.ChannelsRequest()).channels)
        found = backend.channels(cent.ChannelsRequest()).channels
        assert found[chat].num_clients == 2
        assert found[opened].num_clients == 1
        nodes = backend.info(cent.InfoRequest()).nodes
        assert len({node.uid for node in nodes}) == 2
        assert all(node.num_clients >= 1 and node.num_users >= 1 and node.num_channels >= 1 for node in nodes)


async def test_connections_are_found_on_all_nodes(api_cluster: Cluster, backend: cent.Client) -> None:
    user, chat = room("user"), room("chat")
    shown = token(user, jti="id of a token")
    async with (
        guest(api_cluster.near, user, token=shown) as here,
        guest(api_cluster.far, user, protobuf=True),
        connect(api_cluster.far.ws(f"/plain/{chat}?user={user}"), proxy=None),
        guest(api_cluster.far, "somebody else"),
    ):
        await here.enter(chat)
        asked = cent.ConnectionsRequest(user=user, expression="")
        await eventually(lambda: len(backend.connections(asked).connections) == 3)
        found = backend.connections(asked).connections
        by_kind = {one.protocol: one for one in found.values()}
        assert set(by_kind) == {"json", "protobuf", "plain"}
        one = by_kind["json"]
        assert one.transport == "websocket"
        assert one.app_name == "python"
        assert one.state is not None
        assert one.state.channels is not None
        assert set(one.state.channels) == {chat, f"me:{user}"}
        assert one.state.connection_token is not None
        assert one.state.connection_token.uid == "id of a token"
        assert abs((one.state.connection_token.issued_at or 0) - time.time()) < 60


async def test_presence_publish_and_history_work_across_nodes(
    api_cluster: Cluster, backend: cent.Client
) -> None:
    chat = room("chat")
    async with guest(api_cluster.far, "bob") as bob:
        _, events, _ = await bob.enter(chat)
        found = backend.presence(cent.PresenceRequest(channel=chat)).presence
        assert [one.user for one in found.values()] == ["bob"]
        backend.publish(cent.PublishRequest(channel=chat, data={"a": 1}))
        assert (await events.next("publication")).pub.data == {"a": 1}
        other = api(api_cluster.far)
        page = other.history(cent.HistoryRequest(channel=chat, limit=1, reverse=True))
        assert [one.data for one in page.publications] == [{"a": 1}]


async def test_a_user_is_subscribed_and_unsubscribed_on_all_nodes(
    api_cluster: Cluster, backend: cent.Client
) -> None:
    secret, user = room("secret"), room("user")
    async with guest(api_cluster.near, user) as here, guest(api_cluster.far, user, protobuf=True) as there:
        both = (here, there)
        for one in both:
            await one.events.next("subscribed")  # to the personal room
        backend.subscribe(cent.SubscribeRequest(user=user, channel=secret))
        for one in both:
            assert (await one.events.next("subscribed")).channel == secret
        backend.publish(cent.PublishRequest(channel=secret, data=1))
        for one in both:
            assert (await one.events.next("publication")).pub.data == one.data("1")
        backend.unsubscribe(cent.UnsubscribeRequest(user=user, channel=secret))
        for one in both:
            assert (await one.events.next("unsubscribed")).channel == secret


async def test_a_user_is_disconnected_on_all_nodes(api_cluster: Cluster, backend: cent.Client) -> None:
    user, opened = room("user"), room("open")
    async with (
        guest(api_cluster.near, user) as here,
        guest(api_cluster.far, user) as there,
        guest(api_cluster.far, user) as kept,
        guest(api_cluster.far, "somebody else") as other,
        connect(api_cluster.far.ws(f"/plain/{opened}?user={user}"), proxy=None) as plain,
    ):
        await eventually(lambda: len(backend.channels(cent.ChannelsRequest(pattern=opened)).channels))
        keep = (await kept.events.next("connected")).client
        reason = cent.Disconnect(code=4567, reason="out")
        backend.disconnect(cent.DisconnectRequest(user=user, disconnect=reason, whitelist=[keep]))
        assert [await closed(one) for one in (here, there)] == [4567, 4567]
        with pytest.raises(ConnectionClosed):
            await plain.recv()
        assert plain.close_code == 4567
        found = backend.connections(cent.ConnectionsRequest(user=user, expression="")).connections
        assert list(found) == [keep]
        backend.disconnect(cent.DisconnectRequest(user=user, client=keep))
        assert await closed(kept) == 3503
        assert not other.events.waiting("disconnected")


async def test_refresh_ends_a_user_on_all_nodes(api_cluster: Cluster, backend: cent.Client) -> None:
    user = room("user")
    async with guest(api_cluster.far, user) as there:
        await there.events.next("connected")
        backend.refresh(cent.RefreshRequest(user=user, expired=True))
        assert (await there.events.next("connecting")).code == 3005


# Blocking and revoking


async def test_a_blocked_user_is_out_on_all_nodes_until_unblocked(
    api_cluster: Cluster, backend: cent.Client
) -> None:
    user, opened = room("user"), room("open")
    async with (
        guest(api_cluster.far, user) as there,
        connect(api_cluster.far.ws(f"/plain/{opened}?user={user}"), proxy=None) as plain,
    ):
        await eventually(lambda: len(backend.channels(cent.ChannelsRequest(pattern=opened)).channels))
        backend.block_user(cent.BlockUserRequest(user=user))
        assert await closed(there) == 3507
        with pytest.raises(ConnectionClosed):
            await plain.recv()
        assert plain.close_code == 1008
    for server in (api_cluster.near, api_cluster.far):
        assert await refusal(server, token(user)) == 3507
        async with guest(server, "somebody else"):
            pass
    backend.unblock_user(cent.UnblockUserRequest(user=user))
    async with guest(api_cluster.near, user):

        async def let_in() -> bool:
            return await refusal(api_cluster.far, token(user)) is None

        await eventually(let_in)


async def test_a_block_ends_by_itself(api_cluster: Cluster, backend: cent.Client) -> None:
    user = room("user")
    until = int(time.time()) + 2
    backend.block_user(cent.BlockUserRequest(user=user, expire_at=until))
    assert await refusal(api_cluster.near, token(user)) == 3507

    async def let_in() -> bool:
        return await refusal(api_cluster.near, token(user)) is None

    await eventually(let_in)
    assert time.time() >= until


async def test_a_revoked_token_is_no_good_on_any_node(api_cluster: Cluster, backend: cent.Client) -> None:
    user = room("user")
    bad, good = token(user, jti=f"bad {user}"), token(user, jti=f"good {user}")
    async with (
        guest(api_cluster.far, user, token=bad) as ending,
        guest(api_cluster.far, user, token=good) as staying,
    ):
        backend.revoke_token(cent.RevokeTokenRequest(uid=f"bad {user}"))
        assert await closed(ending) == 3500
        for server in (api_cluster.near, api_cluster.far):
            assert await refusal(server, bad) == 3500
            assert await refusal(server, good) is None
        assert not staying.events.waiting("disconnected")


async def test_a_connection_is_not_refreshed_with_a_revoked_token(
    api_cluster: Cluster, backend: cent.Client
) -> None:
    user = room("user")
    backend.revoke_token(cent.RevokeTokenRequest(uid=user))
    async with wire(api_cluster.near.ws(ENDPOINT), token(user)) as one:
        await one.say({"id": 9, "refresh": {"token": token(user, jti=user)}})
        assert (await one.end())[0] == 3500


async def test_tokens_of_a_user_issued_before_are_no_good(api_cluster: Cluster, backend: cent.Client) -> None:
    user, now = room("user"), int(time.time())
    claims = {"sub": user, "exp": now + 60}
    old, without = (jwt.encode({**claims, **more}, SECRET) for more in ({"iat": now - 100}, {}))
    new = token(user)
    async with (
        guest(api_cluster.far, user, token=old) as ending,
        guest(api_cluster.far, user, token=new) as one,
    ):
        request = cent.InvalidateUserTokensRequest(user=user, issued_before=now - 10)
        backend.invalidate_user_tokens(request)
        assert await closed(ending) == 3500
        for server in (api_cluster.near, api_cluster.far):
            assert await refusal(server, old) == 3500
            assert await refusal(server, without) == 3500
            assert await refusal(server, new) is None
        assert not one.events.waiting("disconnected")
        backend.invalidate_user_tokens(cent.InvalidateUserTokensRequest(user=user))
        assert await closed(one) == 3500


async def test_a_subscription_ends_with_its_token(api_cluster: Cluster, backend: cent.Client) -> None:
    user = room("user")
    secrets = [room("secret") for _ in range(3)]

    async def shown(name: str) -> str:
        return token(user, channel=name, jti=f"{user} {name}")

    async with guest(api_cluster.far, user) as one:
        entered = [await one.enter(name, get_token=shown) for name in secrets]
        backend.revoke_token(cent.RevokeTokenRequest(uid=f"{user} {secrets[0]}"))
        assert (await entered[0][1].next("unsubscribed")).code == 2000
        request = cent.InvalidateUserTokensRequest(user=user, channel=secrets[1])
        backend.invalidate_user_tokens(request)
        assert (await entered[1][1].next("unsubscribed")).code == 2000
        backend.publish(cent.PublishRequest(channel=secrets[2], data=1))
        await entered[2][1].next("publication")
    async with wire(api_cluster.near.ws(ENDPOINT), token(user)) as again:
        for name, answer in ((secrets[0], 103), (secrets[2], None)):
            told = await again.ask(
                "subscribe", channel=name, token=token(user, channel=name, jti=f"{user} {name}")
            )
            assert (told if isinstance(told, int) else None) == answer


async def test_a_node_that_starts_later_knows_what_was_revoked_before(
    api_cluster: Cluster, backend: cent.Client
) -> None:
    blocked, freed = room("user"), room("user")
    for user in (blocked, freed):
        backend.block_user(cent.BlockUserRequest(user=user))
    backend.unblock_user(cent.UnblockUserRequest(user=freed))
    with api_cluster.start(api_cluster.url) as third:
        wait_for_nodes(3, third)
        assert await refusal(third, token(blocked)) == 3507
        assert await refusal(third, token(freed)) is None
        assert len(api(third).info(cent.InfoRequest()).nodes) == 3
    wait_for_nodes(2, api_cluster.near)


async def test_a_node_that_is_frozen_is_not_waited_for(api_cluster: Cluster, backend: cent.Client) -> None:
    chat = room("chat")
    async with guest(api_cluster.near) as here:
        await here.enter(chat)
        with api_cluster.start(api_cluster.url) as third:
            wait_for_nodes(3, api_cluster.near)
            os.kill(third.process.pid, signal.SIGSTOP)
            try:
                found = backend.channels(cent.ChannelsRequest(pattern=chat)).channels  # or else it times out
                assert found[chat].num_clients == 1
            finally:
                os.kill(third.process.pid, signal.SIGCONT)
