"""The backend of docs/how-to/hooks.md is asked by a server with the page's settings, and decides."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from document_blocks import ROOT, blocks_of
from gateway_sdk import ENDPOINT
from gateway_wire import wire
from ports import free_port
from server_process import HUBBUB, ServerProcess, running

PAGE = ROOT / "docs/how-to/hooks.md"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    texts = {block.language: block.text for block in blocks_of(PAGE)}
    port = free_port()
    (tmp_path / "backend.py").write_text(texts["python"])
    (tmp_path / "hubbub.toml").write_text(texts["toml"].replace("8001", str(port)))
    uvicorn = [sys.executable, "-m", "uvicorn", "backend:app"]
    with ExitStack() as stack:
        stack.enter_context(running(uvicorn, tmp_path / "backend.log", port=port, folder=tmp_path))
        command = [*HUBBUB, "serve", "--drain", "0"]
        yield stack.enter_context(running(command, tmp_path / "log", folder=tmp_path))


async def test_the_backend_of_the_page_decides(server: ServerProcess) -> None:
    url = server.ws(ENDPOINT)
    async with wire(url, connected=False, additional_headers={"Cookie": "session=nobody"}) as stranger:
        await stranger.say({"id": 1, "connect": {}})
        assert await stranger.end() == (4501, "please log in")
    async with (
        wire(url, additional_headers={"Cookie": "session=ada-1815"}) as ada,
        wire(url, additional_headers={"Cookie": "session=guest-1"}) as guest,
    ):
        assert (await ada.ask("subscribe", channel="team:plans"))["data"] == {"topic": "plans"}
        assert await guest.ask("subscribe", channel="team:plans") == 403
        await guest.ask("subscribe", channel="team:lobby")
        await guest.ask("publish", channel="team:lobby", data={"text": "x" * 2_000, "from": "ada"})
        assert (await guest.push("pub"))["data"] == {"from": "guest", "text": "x" * 1_000}
        assert await ada.ask("rpc", method="add", data=[1, 2]) == {"data": 3}
        assert await ada.ask("rpc", method="sub") == 404
