"""The official JavaScript SDK over WebSockets, unmodified: in Node, and in Chromium as JSON and protobuf."""

import asyncio
import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_servers import COMMAND, KEY
from gateway_sdk import ENDPOINT, SECRET, Server, token
from node_sdk import installed_sdk
from playwright.async_api import Browser
from ports import free_port
from server_process import running

NODE = Path(__file__).parent / "node"
STEPS = 11
BUNDLES = ["centrifuge.js", "centrifuge.protobuf.js"]

RECOVERY = """
async ({url, token, isBinary}) => {
  const hear = (data) => isBinary ? JSON.parse(new TextDecoder().decode(data)) : data;
  const client = new Centrifuge(url, {token, minReconnectDelay: 50, maxReconnectDelay: 200});
  const subscription = client.newSubscription("chat:killed");
  window.heard = [];
  window.began = [];
  subscription.on("publication", ({data}) => heard.push(hear(data)));
  subscription.on("subscribed", ({recovered, wasRecovering}) => began.push([wasRecovering, recovered]));
  subscription.subscribe();
  client.connect();
  await subscription.ready(10000);
}
"""


def tokens_for(server: Server, where: str) -> dict[str, str]:
    """What the conversation needs; none of them may be in the log."""
    tokens = {
        "ada": token("ada"),
        "bob": token("bob"),
        "old": token("ada", ttl=-60),
        "short": token("ada", ttl=2),
        "rooms": token("ada", channels=[f"news:{where}"]),
    }
    return {name: server.secret(one) for name, one in tokens.items()}


async def test_the_javascript_sdk_works_unmodified(server: Server) -> None:
    folder = await asyncio.to_thread(installed_sdk)
    for script in NODE.glob("*.mjs"):
        (folder / script.name).write_bytes(script.read_bytes())
    process = await asyncio.create_subprocess_exec(
        *("node", str(folder / "in_node.mjs"), server.ws(ENDPOINT), server.origin, "node"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(50):
            output, _ = await process.communicate(json.dumps(tokens_for(server, "node")).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    assert len(json.loads(output)) == STEPS


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("bundle", BUNDLES)
async def test_the_javascript_sdk_works_unmodified_in_chromium(
    browser: Browser, server: Server, bundle: str
) -> None:
    where = bundle.replace(".", "-")
    page = await browser.new_page()
    try:
        await page.goto(f"{server.origin}/state")
        await page.add_script_tag(path=installed_sdk() / "node_modules/centrifuge/dist" / bundle)
        await page.add_script_tag(path=NODE / "conversation.mjs")
        facts = {
            **{"url": server.ws(ENDPOINT), "origin": server.origin, "tokens": tokens_for(server, where)},
            **{"where": where, "isBinary": "protobuf" in bundle},
        }
        done = await page.evaluate("(facts) => converse({ ...facts, Centrifuge, own: {} })", facts)
    finally:
        await page.close()
    assert len(done) == STEPS


@pytest.mark.asyncio(loop_scope="session")
async def test_in_chromium_it_recovers_after_the_server_was_killed(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **{"GATEWAY_SECRET": SECRET, "API_KEYS": KEY, "API_BROKER": f"sqlite:///{tmp_path}/hub.db"},
    }
    pages = [await browser.new_page() for _ in BUNDLES]
    try:
        with running(COMMAND, tmp_path / "first.log", environment, port=port) as server:
            for page, bundle in zip(pages, BUNDLES, strict=True):
                await page.goto(f"{server.origin}/nodes")
                await page.add_script_tag(path=installed_sdk() / "node_modules/centrifuge/dist" / bundle)
                url, bearer = server.ws(ENDPOINT), server.secret(token("ada"))
                await page.evaluate(RECOVERY, {"url": url, "token": bearer, "isBinary": "protobuf" in bundle})
            publish(server, {"n": 1})
            for page in pages:
                await page.wait_for_function("heard.length === 1", polling=20)
            server.stop(signal.SIGKILL)
        with running(COMMAND, tmp_path / "second.log", environment, port=port) as server:
            publish(server, {"n": 2})
            for page in pages:
                await page.wait_for_function("heard.length === 2", polling=20)
                assert await page.evaluate("[heard, began]") == [
                    [{"n": 1}, {"n": 2}],
                    [[False, False], [True, True]],
                ]
    finally:
        for page in pages:
            await page.close()


def publish(server: Server, data: Mapping[str, Any]) -> None:
    answer = httpx.post(
        f"{server.origin}/api/publish",
        json={"channel": "chat:killed", "data": data},
        headers={"X-API-Key": KEY},
        verify=False,
    )
    assert "error" not in answer.json(), answer.text
