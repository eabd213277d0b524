"""The Redis broker keeps the contract on every kind of server, and keeps its own rules."""

import asyncio
import logging
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvloop
from broker_contract import BrokerContract
from broker_node import KEEP, Node
from node_sdk import not_run
from polling import eventually, turns
from ports import free_port
from redis_nodes import running
from redis_servers import BINARIES, RedisServer, new_prefix, redis_server

from hubbub import BrokerError, History, HistoryGone, Position
from hubbub.brokers import Broker, envelope
from hubbub.brokers.redis import RedisBroker

DAY = 86_400

Servers = dict[str, RedisServer]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """One server of each kind."""
    with ExitStack() as stack:
        yield {kind: stack.enter_context(redis_server(kind)) for kind in BINARIES}


@pytest.fixture(params=list(BINARIES))
def server(request: pytest.FixtureRequest, servers: Servers) -> RedisServer:
    """Each kind of server in turn."""
    return servers[request.param]


@pytest.fixture
def valkey(servers: Servers) -> RedisServer:
    return servers["valkey"]


def test_all_kinds_of_servers_are_tested() -> None:
    if "redis7" not in BINARIES:
        not_run("NOT RUN: with Redis 7, which is not installed (scripts/programs)")


class TestRedisBroker(BrokerContract):
    @pytest.fixture(params=[*BINARIES, "valkey on a Unix socket"])
    def make_broker(self, request: pytest.FixtureRequest, servers: Servers) -> Callable[[], Broker]:
        kind, _, unix = request.param.partition(" ")
        url = f"unix://{servers[kind].socket}?prefix={new_prefix()}" if unix else servers[kind].url()
        return lambda: RedisBroker.from_url(url)


def test_uvloop_is_as_good_as_asyncio(valkey: RedisServer) -> None:
    async def play() -> None:
        async with running(valkey.url("ping_interval=0.1&ping_timeout=0.4"), "r") as node:
            await asyncio.gather(*(node.fill(str(number)) for number in range(100)))
            valkey.run("CLIENT", "KILL", "TYPE", "normal")
            valkey.run("CLIENT", "KILL", "TYPE", "pubsub")
            await eventually(lambda: not node.broker.connected)
            await eventually(lambda: node.broker.connected)
            await node.fill("last")
            assert await node.payloads(101) == [*map(str, range(100)), "last"]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


# What is kept, and for how long


async def test_what_is_kept_ends_by_itself(server: RedisServer) -> None:
    prefix = new_prefix()
    async with running(server.url(prefix=prefix)) as node:
        await node.broker.publish("r", "a", history=KEEP, idempotency_key="k")
        await node.broker.history("empty", KEEP, since=None, limit=None, reverse=False)
        await node.broker.claim("c", 7.0)
        names = {name.decode() for name in server.run("KEYS", f"{prefix}:*")}
        seconds = {name.removeprefix(f"{prefix}:"): server.run("TTL", name) for name in names}
        assert seconds.keys() == {"{r}:meta", "{r}:log", "{r}:once:k", "{empty}:meta", "{c}:claim"}
        assert seconds["{r}:meta"] >= 30 * DAY - 60
        assert 50 <= seconds["{r}:log"] <= KEEP.ttl
        assert 250 <= seconds["{r}:once:k"] <= 300
        assert 60 <= seconds["{empty}:meta"] <= DAY
        assert seconds["{c}:claim"] <= 7


async def test_a_longer_ttl_keeps_the_position_as_long(valkey: RedisServer) -> None:
    prefix = new_prefix()
    async with running(valkey.url(prefix=prefix)) as node:
        await node.fill("a", history=History(ttl=90.0 * DAY))
        assert valkey.run("TTL", f"{prefix}:{{r}}:meta") > 89 * DAY


async def test_the_log_holds_no_more_than_its_size_and_bytes(valkey: RedisServer) -> None:
    prefix = new_prefix()
    async with running(valkey.url(prefix=prefix)) as node:
        for size, limit, kept in ((10, 1_000_000, 10), (100, 50, 5), (100, 9, 1), (3, 1_000_000, 3)):
            history = History(size=size, ttl=60.0, bytes=limit)
            await node.fill(*["x" * 10] * 20, history=history)
            assert valkey.run("XLEN", f"{prefix}:{{r}}:log") == kept
        await node.broker.remove_history("r")
        await node.fill("y" * 10, history=History(size=100, bytes=20))
        await node.fill("z" * 10, history=History(size=100, bytes=20))
        assert await node.read() == ["y" * 10, "z" * 10]


async def test_a_limit_counts_only_what_is_young_enough(valkey: RedisServer) -> None:
    now = 1_000.0
    broker = RedisBroker.from_url(valkey.url())
    broker._clock = lambda: now
    node = Node(broker)
    await broker.start(node)
    for number in range(40):
        now += 1.0
        await node.fill(str(number), history=History(size=100, ttl=500.0))
    history = History(size=100, ttl=10.0)
    page = await broker.history("r", history, since=None, limit=3, reverse=False)
    assert [one.payload for one in page.publications] == ["29", "30", "31"]
    page = await broker.history("r", history, since=None, limit=None, reverse=True)
    assert [one.payload for one in page.publications] == [str(number) for number in range(39, 28, -1)]
    epoch = page.position.epoch
    page = await broker.history("r", history, since=Position(epoch, 29), limit=2, reverse=False)
    assert [one.payload for one in page.publications] == ["29", "30"]
    with pytest.raises(HistoryGone):
        await broker.history("r", history, since=Position(epoch, 28), limit=2, reverse=False)
    await broker.stop()


async def test_a_position_evicted_by_the_server_begins_a_new_epoch(server: RedisServer) -> None:
    prefix = new_prefix()
    async with running(server.url(prefix=prefix)) as node:
        (first, *_) = await node.fill("a", "b", "c")
        for asked_first in (True, False):
            server.run("DEL", f"{prefix}:{{r}}:meta")
            if asked_first:
                assert await node.read() == []
            (after,) = await node.fill("d")
            assert first.position is not None
            assert after.position is not None
            assert after.position.offset == 1
            assert after.position.epoch != first.position.epoch
            assert await node.read() == ["d"]
            with pytest.raises(HistoryGone):
                await node.read(since=first.position)


async def test_databases_of_one_server_do_not_hear_each_other(valkey: RedisServer) -> None:
    prefix = new_prefix()
    one = f"redis://127.0.0.1:{valkey.port}/0?prefix={prefix}"
    other = f"redis://127.0.0.1:{valkey.port}/1?prefix={prefix}"
    async with running(one, "r") as first, running(other, "r") as second:
        await first.fill("a")
        await second.fill("b")
        await first.payloads(1)
        await second.payloads(1)
        await turns()
        assert [[one.payload for one in node.delivered] for node in (first, second)] == [["a"], ["b"]]
        assert first.interruptions == second.interruptions == []


async def test_publishes_of_one_tick_go_in_the_order_of_asking(server: RedisServer) -> None:
    async with running(server.url(), "r") as node:
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                history = KEEP if number % 3 else None
                group.create_task(node.broker.publish("r", str(number), history=history))
        assert await node.payloads(200) == [str(number) for number in range(200)]


# Messages that are none

FOREIGN = (b"", b"hello", b"::", b"::\xff", b"1:e:x", b"x:e:", b"9" * 30 + b":e:", b"\xff:\xff:\xff")


async def test_a_foreign_message_is_ignored_with_one_line(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    prefix = new_prefix()
    async with running(server.url(prefix=prefix), "r") as node:
        for foreign in FOREIGN:
            server.run("PUBLISH", f"{prefix}:0:{{r}}", foreign)
        await node.fill("a", "b")
        assert await node.payloads(2) == ["a", "b"]
        assert node.interruptions == []
    lines = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len([line for line in lines if "was ignored" in line]) == 1


async def test_a_publication_of_a_newer_version_is_told_as_a_loss(valkey: RedisServer) -> None:
    prefix = new_prefix()
    async with running(valkey.url(prefix=prefix), "r") as node:
        (first,) = await node.fill("a")
        assert first.position is not None
        epoch = first.position.epoch
        newer = b"\x93\x63" + envelope.encode("b", 0.0)[2:]
        valkey.run("XADD", f"{prefix}:{{r}}:log", "2-0", "e", newer, "t", "9999999999", "s", 2, "n", 1)
        valkey.run("SET", f"{prefix}:{{r}}:meta", f"2:{epoch}:2:2")
        valkey.run("PUBLISH", f"{prefix}:0:{{r}}", f"2:{epoch}:".encode() + newer)
        await eventually(lambda: node.interruptions)
        await node.fill("c")
        assert await node.payloads(2) == ["a", "c"]
        assert node.interruptions == [("r", Position(epoch, 2))]
        assert await node.read() == ["a", "c"]


# Getting in


async def test_a_wrong_password_is_an_error_that_does_not_repeat_it() -> None:
    with redis_server("valkey", "--requirepass", "right") as server:
        for login in (":hunter2@", "", "ada:hunter2@"):
            broker = RedisBroker.from_url(f"redis://{login}127.0.0.1:{server.port}")
            with pytest.raises(BrokerError) as caught:
                await broker.start(Node(broker))
            assert "hunter2" not in str(caught.value)
        async with running(f"redis://:right@127.0.0.1:{server.port}", "r") as node:
            await node.fill("a")
            await node.payloads(1)


async def test_a_database_that_does_not_exist_is_an_error_at_the_start(valkey: RedisServer) -> None:
    broker = RedisBroker.from_url(f"redis://127.0.0.1:{valkey.port}/9999")
    with pytest.raises(BrokerError):
        await broker.start(Node(broker))
    assert not broker.connected


async def test_what_the_server_does_not_allow_is_refused_and_the_rest_goes_on(valkey: RedisServer) -> None:
    prefix = new_prefix()
    valkey.run("ACL", "SETUSER", "ada", "on", ">pw", "+@all", "~*", "resetchannels", f"&{prefix}:0:{{open}}")
    url = f"redis://ada:pw@127.0.0.1:{valkey.port}?prefix={prefix}"
    async with running(url, "open") as node:
        with pytest.raises(BrokerError, match=r"refused.*permission"):
            await node.broker.subscribe("closed", KEEP)
        with pytest.raises(BrokerError, match="refused"):
            await node.broker.publish("closed", "a", history=KEEP)
        await node.broker.publish("open", "a", history=KEEP)
        assert await node.payloads(1) == ["a"]
        assert node.broker.connected


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for 127.0.0.1 that is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    what = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(["openssl", "req", *kind, *made, *what], check=True, capture_output=True)
    return folder


async def test_tls_checks_the_server(certificates: Path) -> None:
    if "redis7" not in BINARIES:
        not_run("NOT RUN: Redis 7 with TLS (scripts/programs)")
    cert, key, port = certificates / "cert.pem", certificates / "key.pem", free_port()
    files = ["--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-ca-cert-file", str(cert)]
    with redis_server("redis7", "--tls-port", str(port), *files, "--tls-auth-clients", "optional"):
        url = f"rediss://127.0.0.1:{port}"
        async with running(f"{url}?tls_ca_file={cert}", "r") as node:
            await node.fill("a")
            assert await node.payloads(1) == ["a"]
        async with running(f"{url}?tls_verify=false", "r") as node:
            assert node.broker.connected
        for untrusted in (url, f"rediss://localhost:{port}?tls_ca_file={cert}", f"redis://127.0.0.1:{port}"):
            broker = RedisBroker.from_url(untrusted)
            with pytest.raises(BrokerError):
                await broker.start(Node(broker))
