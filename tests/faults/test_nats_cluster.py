"""Three NATS servers that keep each stream three times: erasing, resuming, and one of them frozen."""

import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import nats
import pytest
from broker_node import Node, position_of
from nats_servers import NatsServer, new_prefix
from polling import eventually
from ports import free_port

from hubbub import BrokerError, History
from hubbub.brokers.nats import NatsBroker

KEEP = History(size=1_000, ttl=600.0)


@pytest.fixture(scope="module")
def servers() -> Iterator[list[NatsServer]]:
    """Three that know each other, named n0 to n2."""
    routes = [f"nats://127.0.0.1:{free_port()}" for _ in range(3)]
    with ExitStack() as stack:
        servers = []
        for number, route in enumerate(routes):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            cluster = ("--cluster_name", "c", "--cluster", route, "--routes", ",".join(routes))
            server = NatsServer(folder, "--name", f"n{number}", *cluster)
            stack.callback(server.kill)
            servers.append(server)
        for server in servers:
            server.start()
        yield servers


@asynccontextmanager
async def node_on(servers: list[NatsServer], prefix: str) -> AsyncIterator[Node]:
    """A started node that follows the room "r"."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    url = f"nats://{hosts}/?prefix={prefix}&history_bytes=8388608&replicas=3"
    node: Node | None = None

    async def started() -> Node | None:
        made = Node(NatsBroker.from_url(url))
        try:
            await made.broker.start(made)
        except BrokerError:  # the servers have not agreed yet on who leads them
            return None
        return made

    node = await eventually(started, 30.0)
    assert node is not None
    try:
        await node.broker.subscribe("r", KEEP)
        yield node
    finally:
        await node.broker.stop()


async def lead(servers: list[NatsServer], prefix: str, number: int) -> None:
    """Have that server lead the stream of the histories, with the others keeping up."""
    client = await nats.connect(f"nats://127.0.0.1:{servers[number].port}")
    manager = client.jsm()
    name = await manager.find_stream_name_by_subject(f"{prefix}.in.*")
    wish = json.dumps({"placement": {"preferred": f"n{number}"}}).encode()

    async def leads() -> bool:
        with suppress(TimeoutError):  # while nobody leads it, nobody answers
            cluster = (await manager.stream_info(name)).cluster
            assert cluster is not None
            if cluster.leader == f"n{number}":
                return all(replica.current for replica in cluster.replicas or ())
            await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{name}", wish, timeout=1)
        return False

    try:
        await eventually(leads, 20.0)
    finally:
        await client.close()


async def publish(node: Node, payload: str) -> None:
    """Try again and again, as one who has an idempotency key may."""

    async def accepted() -> bool:
        try:
            await node.broker.publish("r", payload, history=KEEP, idempotency_key=payload)
        except BrokerError:
            return False
        return True

    await eventually(accepted, 30.0)


async def test_histories_are_whole_after_another_server_leads_and_while_one_is_frozen(
    servers: list[NatsServer],
) -> None:
    prefix = new_prefix()
    first_two = servers[:2]  # which the nodes are connected to, and stay
    async with node_on(first_two, prefix) as node, node_on(first_two, prefix) as other:
        made = await node.fill(*(f"{number}" for number in range(8)), history=KEEP)
        assert await other.broker.erase("r", KEEP, position_of(made[2]))
        assert await node.broker.erase("r", KEEP, position_of(made[7]))
        assert not await other.broker.erase("r", KEEP, position_of(made[7]))

        await lead(servers, prefix, 1)
        payloads = [f"{number}" for number in range(16)]
        for number in range(8, 16):
            await publish((node, other)[number % 2], f"{number}")
        kept = [one for one in payloads[1:] if one not in ("2", "7")]
        servers[2].freeze()
        try:
            failed = 0
            for _ in range(6):  # each may go to the frozen one
                for one in (node, other):
                    try:
                        page = await one.broker.history(
                            "r", KEEP, since=position_of(made[0]), limit=None, reverse=False
                        )
                    except BrokerError:
                        failed += 1
                        continue
                    assert [publication.payload for publication in page.publications] == kept
            assert failed <= 1
            await publish(node, "last")
        finally:
            servers[2].thaw()
        for one in (node, other):
            assert (await one.payloads(17))[-1] == "last"
            assert [publication.payload for publication in one.delivered] == [*payloads, "last"]
            assert one.interruptions == []
