"""How a NATS broker starts: what it refuses, encryption, credentials, several servers."""

import asyncio
import datetime
import ipaddress
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from broker_node import KEEP, Node
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nats_servers import NatsServer, nats_server, new_prefix
from tcp_server import tcp_server

from hubbub import BrokerError, ConfigurationError
from hubbub.brokers.nats import NatsBroker, NatsOptions


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


async def works(url: str) -> None:
    """Publish and hear something."""
    node = Node(NatsBroker.from_url(url))
    await node.broker.start(node)
    await node.broker.subscribe("r", KEEP)
    await node.fill("a")
    assert await node.payloads(1) == ["a"]
    await node.broker.stop()


async def refused(url: str, error: type[Exception], match: str) -> None:
    node = Node(NatsBroker.from_url(url))
    with pytest.raises(error, match=match):
        await node.broker.start(node)
    assert not node.broker.connected
    assert len(asyncio.all_tasks()) == 1


async def test_a_server_that_is_not_there_is_an_error() -> None:
    with nats_server() as gone:
        pass
    await refused(gone.url(), BrokerError, "no NATS server can be reached")


async def test_a_server_without_jetstream_is_refused() -> None:
    with nats_server(jetstream=False) as server:
        await refused(server.url(), ConfigurationError, "JetStream is not enabled")


@asynccontextmanager
async def rewriting(port: int, change: Callable[[bytes], bytes], seen: list[bytes]) -> AsyncIterator[int]:
    """A link that changes what the server says first, and notes what the client says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)

        async def answers() -> None:
            while data := await there.read(65_536):
                writer.write(data)

        answering: asyncio.Task[None] | None = None
        try:
            writer.write(change(await there.readline()))
            answering = asyncio.create_task(answers())
            while data := await reader.read(65_536):
                seen.append(data)
                back.write(data)
        except OSError:
            pass
        finally:
            if answering is not None:
                answering.cancel()
            back.close()

    async with tcp_server(serve) as listening:
        yield listening


async def test_a_server_that_is_too_old_is_refused(server: NatsServer) -> None:
    def older(info: bytes) -> bytes:
        return re.sub(rb'"version":"[0-9.]+"', b'"version":"2.11.9"', info)

    async with rewriting(server.port, older, []) as port:
        node = Node(NatsBroker.from_url(server.url(port=port)))
        with pytest.raises(ConfigurationError, match=r"2\.12"):
            await node.broker.start(node)


async def test_without_tls_no_credentials_are_given_to_a_server_that_must_have_it(server: NatsServer) -> None:
    seen: list[bytes] = []
    async with rewriting(server.port, lambda info: info, seen) as port:
        for userinfo in ("ada:hunter22@", "hunter22@", ""):
            url = server.url(userinfo=userinfo, port=port).replace("nats://", "tls://")
            node = Node(NatsBroker.from_url(url))
            with pytest.raises(BrokerError, match="TLS"):
                await node.broker.start(node)
    assert b"hunter22" not in b"".join(seen)


def make_certificate(folder: Path) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that signs itself, and its key: their files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nats")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return str(folder / "certificate.pem"), str(folder / "key.pem")


@pytest.mark.parametrize("scheme", ["tls", "nats"])
async def test_tls_is_spoken_with_a_server_that_is_trusted_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    certificate, key = make_certificate(tmp_path)
    arguments = ("--tls", "--tlscert", certificate, "--tlskey", key, "--user", "ada", "--pass", "hunter22")
    with nats_server(*arguments) as server:
        url = server.url(userinfo="ada:hunter22@").replace("nats://", f"{scheme}://")
        await refused(url, BrokerError, "certificate verify failed")
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        await works(url)


async def test_credentials_are_taken_from_the_url() -> None:
    with nats_server("--user", "ada@home", "--pass", "p:w/1") as server:
        await works(server.url(userinfo="ada%40home:p%3Aw%2F1@"))
        await refused(server.url(userinfo="ada%40home:wrong@"), BrokerError, "Authorization Violation")
        await refused(server.url(), BrokerError, "Authorization Violation")
    with nats_server("--auth", "a token") as server:
        await works(server.url(userinfo="a%20token@"))


async def test_one_of_several_servers_is_enough(server: NatsServer) -> None:
    with nats_server() as gone:
        pass
    servers = (f"127.0.0.1:{gone.port}", f"127.0.0.1:{server.port}")
    for _ in range(4):
        node = Node(NatsBroker(NatsOptions(servers, prefix=new_prefix(), history_bytes=2**22)))
        await node.broker.start(node)
        await node.fill("a")
        await node.broker.stop()


async def test_nodes_that_start_at_once_agree_on_their_streams(server: NatsServer) -> None:
    for _ in range(5):
        prefix = new_prefix()
        nodes = [Node(NatsBroker.from_url(server.url(prefix))) for _ in range(8)]
        await asyncio.gather(*(node.broker.start(node) for node in nodes))
        await asyncio.gather(*(node.broker.subscribe("r", KEEP) for node in nodes))
        made = await asyncio.gather(*(node.broker.publish("r", "a", history=KEEP) for node in nodes))
        assert sorted(one.position.offset for one in made if one.position) == list(range(1, 9))
        assert len({one.position.epoch for one in made if one.position}) == 1
        await asyncio.gather(*(node.broker.stop() for node in nodes))


async def test_a_subject_that_somebody_elses_stream_has_is_refused(server: NatsServer) -> None:
    prefix = new_prefix()
    client = await nats.connect(f"nats://127.0.0.1:{server.port}")
    await client.jetstream().add_stream(name="mine", subjects=[f"{prefix}.>"])
    await client.close()
    await refused(server.url(prefix), ConfigurationError, "another stream")


async def test_what_the_server_does_not_permit_raises(tmp_path: Path) -> None:
    permissions = 'permissions: { publish: { deny: ["x.room.*"] } }'
    config = f"authorization {{ users = [{{ user: a, password: b, {permissions} }}] }}"
    (tmp_path / "nats.conf").write_text(config)
    with nats_server("-c", str(tmp_path / "nats.conf")) as strict:
        node = Node(NatsBroker.from_url(strict.url("x", userinfo="a:b@")))
        await node.broker.start(node)
        await node.broker.subscribe("r", KEEP)
        with pytest.raises(BrokerError, match="permit"):
            await node.broker.publish("r", "a")
        await node.fill("b")
        assert await node.payloads(1) == ["b"]
        await node.broker.stop()
