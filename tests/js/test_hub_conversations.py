"""Hub replays the conversations of the Centrifuge protocol that the server's session keeps to."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from conversation_player import CLIENT, FOLDER, Player, can_say, steps_of
from hub_page import HubPage, hub_page
from playwright.async_api import Error, Page
from scripted_server import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILES = sorted(path for path in FOLDER.glob("*.json") if path.stem != "preludes")
CONVERSATIONS = {
    f"{path.stem}: {one['title']}": steps_of(one)
    for path in FILES
    for one in json.loads(path.read_text())["conversations"]
}
PLAYED = {title: steps for title, steps in CONVERSATIONS.items() if can_say(steps)}


@pytest_asyncio.fixture(loop_scope="session")
async def hub(page: Page, server: ScriptedServer) -> AsyncIterator[HubPage]:
    async with hub_page(page, server.url) as hub:
        await hub.js(CLIENT)
        await hub.js("() => (Math.random = () => 0)")
        yield hub


@pytest.mark.parametrize("file", [path.stem for path in FILES])
async def test_hub_keeps_to_the_conversations_of(file: str, hub: HubPage, server: ScriptedServer) -> None:
    for title, steps in PLAYED.items():
        if title.startswith(f"{file}: "):
            try:
                await Player(hub, server).play(steps)
            except (AssertionError, TimeoutError, Error) as error:
                raise AssertionError(f"{title}: {error}") from error


async def test_most_conversations_that_begin_well_are_played() -> None:
    others = [title for title in CONVERSATIONS if not title.startswith("bad_input")]
    assert len(PLAYED) > len(others) / 2
