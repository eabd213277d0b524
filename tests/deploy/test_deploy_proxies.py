"""nginx and Caddy as deploy/ sets them up, before two nodes with a shared broker."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio
from polling import eventually
from proxy_nodes import Node, two_nodes
from proxy_programs import PROXIES, FrontDoor
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAUSE = 0.1
"""Seconds between messages: the server lets one connection say 20 in a second."""

CLIENTS = ("ada", "bob", "cleo", "dan", "eve", "fay")


@dataclass(frozen=True, slots=True)
class Site:
    """A proxy and the nodes behind it."""

    name: str
    door: FrontDoor
    nodes: tuple[Node, Node]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nodes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes, for each of the proxies in turn."""
    with two_nodes(tmp_path_factory.mktemp("nodes")) as both:
        await asyncio.gather(*(node.start() for node in both))
        yield both


@pytest.fixture(scope="module", params=PROXIES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, nodes: tuple[Node, Node]
) -> Iterator[Site]:
    """Each of the proxies in turn."""
    name = request.param
    with PROXIES[name](tmp_path_factory.mktemp(name), [node.port for node in nodes]) as door:
        yield Site(name, door, nodes)


async def said(client: ClientConnection, text: str) -> None:
    """Read on until somebody has said this."""
    async with asyncio.timeout(10):
        while json.loads(await client.recv())["text"] != text:
            pass


async def test_clients_are_spread_over_the_nodes_and_share_their_rooms(site: Site) -> None:
    path = f"/chat/spread-{site.name}?username="
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(site.door.socket(path + name)) for name in CLIENTS]
        for number, speaker in enumerate(clients):
            await speaker.send(f"hello {number}")
            await asyncio.gather(*(said(one, f"hello {number}") for one in clients))
    spread = [sum(f"{path}{name}" in node.log() for name in CLIENTS) for node in site.nodes]
    assert sum(spread) == len(CLIENTS)
    assert min(spread) >= 2, spread


@pytest.mark.parametrize("kind", ["sse", "http_stream"])
async def test_an_event_of_a_stream_arrives_while_the_response_goes_on(site: Site, kind: str) -> None:
    from stream_wire import stream

    room = f"streams-{kind}-{site.name}"
    async with stream(site.door, kind) as one, site.door.socket(f"/chat/{room}?username=ada") as ada:
        # Commands go in requests of their own, through the proxy, to whichever node.
        await one.ask("subscribe", channel=f"chat:{room}", data={"name": kind})
        for text in ("first", "second"):
            await ada.send(text)
            push = await one.push("pub")
            assert push["data"] == {"from": "ada", "text": text}
        assert not one.response.is_closed


async def test_the_hub_sees_the_address_that_the_proxy_saw_and_not_what_a_client_claims(site: Site) -> None:
    path = f"/chat/address-{site.name}?username="
    claimed = {"X-Forwarded-For": "192.0.2.66"}
    async with (
        site.door.socket(f"{path}ada", source="127.0.0.5", additional_headers=claimed),
        site.door.socket(f"{path}bob", source="127.0.0.6"),
    ):
        await eventually(lambda: sum(node.log().count(path) for node in site.nodes) == 2)
    lines = "".join(node.log() for node in site.nodes).splitlines()
    seen = {name: line for line in lines for name in ("ada", "bob") if f"{path}{name}" in line}
    assert " 127.0.0.5:0 - " in seen["ada"]
    assert " 127.0.0.6:0 - " in seen["bob"]
    assert not [line for line in lines if "192.0.2.66" in line]


async def test_the_site_itself_may_connect_and_a_page_of_another_may_not(site: Site) -> None:
    async with site.door.socket("/chat/pages?username=ada", origin=site.door.origin):
        pass
    with pytest.raises(InvalidStatus) as refusal:
        async with site.door.socket("/chat/pages?username=eve", origin="https://evil.example.com"):
            pass
    assert refusal.value.response.status_code == 403


async def test_pages_are_there_and_metrics_are_not(site: Site) -> None:
    async with site.door.http() as http:
        for path, status in {"/chat": 200, "/health": 200, "/metrics": 404}.items():
            assert (await http.get(path)).status_code == status, path


async def test_a_node_can_go_and_come_back_and_nobody_on_the_other_one_notices(site: Site) -> None:
    path = f"/chat/drain-{site.name}?username="
    leaving, staying = site.nodes
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(site.door.socket(path + name)) for name in CLIENTS}
        speaker = next(name for name in CLIENTS if path + name in staying.log())
        readers = {name: asyncio.create_task(_read(client)) for name, client in clients.items()}
        sent, failures = await _talk(site.door, clients[speaker], leaving.terminated())
        assert failures == []
        await clients[speaker].send("the end")
        for name, reader in readers.items():
            code, texts = await reader
            if path + name in leaving.log():
                assert code == 1012
                assert texts == sent[: len(texts)]
            else:
                assert texts == [*sent, "the end"], (
                    "somebody on the other node has missed or doubled something"
                )
    await leaving.start()

    async def is_used_again() -> bool:
        async with site.door.socket(f"/chat/again-{site.name}?username=ada"):
            return f"/chat/again-{site.name}" in leaving.log()

    await eventually(is_used_again, 10.0)


async def _read(client: ClientConnection) -> tuple[int, list[str]]:
    """What people have said, down to the end or to the close, whose code comes first."""
    texts: list[str] = []
    try:
        while texts[-1:] != ["the end"]:
            message = json.loads(await client.recv())
            texts += [message["text"]] if message["from"] != "system" else []
    except ConnectionClosed as end:
        return (end.rcvd.code if end.rcvd else 1006), texts
    return 0, texts


async def _talk(
    door: FrontDoor, speaker: ClientConnection, ended: "asyncio.Task[float]"
) -> tuple[list[str], list[str]]:
    """Until a node has ended, and a little longer: what was said, and whose coming or asking has failed."""
    sent: list[str] = []
    failures: list[str] = []
    more = 10
    async with door.http() as http:
        while more:
            more -= ended.done()
            await speaker.send(text := f"message {len(sent)}")
            sent.append(text)
            await asyncio.sleep(PAUSE)
            try:
                async with door.socket("/chat/others?username=new") as one:
                    await one.send("hello")
                    await said(one, "hello")
                assert (await http.get("/chat/rooms")).status_code == 200
            except (OSError, AssertionError, InvalidStatus, ConnectionClosed) as error:
                failures.append(f"{text}: {error!r}")
    await ended
    return sent, failures
