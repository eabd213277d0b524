"""Hub replays the conversations that the server's session keeps to, over a WebSocket and without one."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from conversation_player import CLIENT, FOLDER, Player, steps_of
from hub_page import HubPage, frozen_hub_page
from playwright.async_api import Browser, Error
from scripted_server import ScriptedServer
from streaming_server import NO_WEBSOCKETS, StreamingServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIENT_NAME = "hubbub.js"
FILES = {
    path.stem: json.loads(path.read_text())["conversations"]
    for path in sorted(FOLDER.glob("*.json"))
    if path.stem != "preludes"
}


@pytest_asyncio.fixture(
    scope="module", loop_scope="session", params=[ScriptedServer, StreamingServer], ids=["websocket", "sse"]
)
async def scripted(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedServer | StreamingServer]:
    async with request.param().running() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hub(browser: Browser, scripted: ScriptedServer | StreamingServer) -> AsyncIterator[HubPage]:
    """A page whose clock goes on only where a conversation says so."""
    async with frozen_hub_page(browser, scripted.url) as hub:
        await hub.js(CLIENT)
        if isinstance(scripted, StreamingServer):
            await hub.js(NO_WEBSOCKETS)
        yield hub


@pytest.mark.parametrize("file", FILES)
async def test_hub_keeps_to_the_conversations_of(
    file: str, hub: HubPage, scripted: ScriptedServer | StreamingServer
) -> None:
    played = [one for one in FILES[file] if CLIENT_NAME not in one.get("not_for", ())]
    assert played, "a whole file that is not for it"
    for conversation in played:
        try:
            await Player(hub, scripted).play(steps_of(conversation))
        except (AssertionError, TimeoutError, Error) as error:
            raise AssertionError(f"{conversation['title']}: {error}") from error


async def test_only_few_conversations_are_not_for_it_and_each_says_why() -> None:
    conversations = [one for file in FILES.values() for one in file]
    reasons = [one["not_for"][CLIENT_NAME] for one in conversations if "not_for" in one]
    assert all(len(reason) > 10 for reason in reasons)
    print(f"{len(conversations) - len(reasons)} of {len(conversations)} conversations are played")
    assert len(reasons) < len(conversations) / 3
