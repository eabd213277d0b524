"""The official JavaScript SDK without WebSockets, unmodified, in a real browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cent
import pytest
from api_servers import Cluster, StartNode, api
from gateway_sdk import Server, room, token
from node_sdk import installed_sdk
from playwright.async_api import Browser, Page

CONVERSATION = """
async ({transport, endpoint, emulation, token, room}) => {
  const told = [];
  const tell = (name) => (context) => told.push({name, code: context.code ?? 0, data: context.data ?? null});
  const client = new Centrifuge([{transport, endpoint}], {
    token, emulationEndpoint: emulation, minReconnectDelay: 50, maxReconnectDelay: 200,
  });
  const next = (emitter, name) => new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`not within 10 s: ${name}`)), 10000);
    emitter.once(name, resolve);
  });
  const connected = next(client, "connected");
  client.connect();
  const {transport: used} = await connected;
  const subscription = client.newSubscription(room);
  const subscribed = next(subscription, "subscribed");
  subscription.subscribe();
  const {recoverable} = await subscribed;
  const publication = next(subscription, "publication");
  const data = (value) => window.binary ? new TextEncoder().encode(JSON.stringify(value)) : value;
  const read = (value) => window.binary ? JSON.parse(new TextDecoder().decode(value)) : value;
  await subscription.publish(data({from: "the browser", text: "\\u00e9\\n"}));
  const {data: said, offset} = await publication;
  const history = await subscription.history({limit: 10});
  const presence = await subscription.presenceStats();
  window.client = client;
  window.subscription = subscription;
  window.heard = [];
  window.ends = [];
  subscription.on("publication", (context) => window.heard.push(read(context.data)));
  for (const name of ["connected", "disconnected"]) {
    client.on(name, (context) => window.ends.push([name, context.code ?? 0]));
  }
  return {
    used, recoverable, said: read(said), offset,
    history: history.publications.map((one) => read(one.data)), clients: presence.numClients,
  };
}
"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="session")
def scripts() -> Path:
    """The SDK as it is published for browsers."""
    return installed_sdk() / "node_modules/centrifuge/dist"


@asynccontextmanager
async def page_with(browser: Browser, origin: str, script: Path) -> AsyncIterator[Page]:
    """A page of that origin with the SDK."""
    page = await browser.new_page()
    try:
        await page.goto(f"{origin}/nodes")
        await page.add_script_tag(path=script)
        await page.evaluate("binary => { window.binary = binary }", "protobuf" in script.name)
        yield page
    finally:
        await page.close()


async def converse(page: Page, server: Server, transport: str, chat: str) -> None:
    """Connect, subscribe, publish and ask, as "ada"."""
    arguments: dict[str, Any] = {
        "transport": transport,
        "endpoint": f"{server.origin}/connection/{transport}",
        "emulation": f"{server.origin}/emulation",
        "token": server.secret(token("ada")),
        "room": chat,
    }
    assert await page.evaluate(CONVERSATION, arguments) == {
        "used": transport,
        "recoverable": True,
        "said": {"from": "the browser", "text": "é\n"},
        "offset": 1,
        "history": [{"from": "the browser", "text": "é\n"}],
        "clients": 1,
    }


@pytest.mark.parametrize(
    ("transport", "script"),
    [("sse", "centrifuge.js"), ("http_stream", "centrifuge.js"), ("http_stream", "centrifuge.protobuf.js")],
)
async def test_the_javascript_sdk_works_without_websockets(
    browser: Browser, api_cluster: Cluster, scripts: Path, transport: str, script: str
) -> None:
    chat = room("chat")
    async with page_with(browser, api_cluster.near.origin, scripts / script) as page:
        await converse(page, api_cluster.near, transport, chat)
        backend = api(api_cluster.far)
        backend.publish(cent.PublishRequest(channel=chat, data={"n": 1}))
        await page.wait_for_function("window.heard.length == 1")
        # It is sent away, comes back by itself, and gets what it has missed.
        again = cent.Disconnect(code=3011, reason="come again")
        backend.disconnect(cent.DisconnectRequest(user="ada", disconnect=again))
        backend.publish(cent.PublishRequest(channel=chat, data={"n": 2}))
        await page.wait_for_function("window.heard.length == 2")
        assert await page.evaluate("window.heard") == [{"n": 1}, {"n": 2}]
        backend.disconnect(cent.DisconnectRequest(user="ada"))
        await page.wait_for_function("window.ends.length == 2")
        assert await page.evaluate("window.ends") == [["connected", 0], ["disconnected", 3503]]


@pytest.mark.parametrize("transport", ["sse", "http_stream"])
async def test_a_page_of_another_origin_gets_through_where_it_is_allowed(
    browser: Browser, api_cluster: Cluster, start_node: StartNode, scripts: Path, transport: str
) -> None:
    page_origin = api_cluster.near.origin
    with start_node("memory://", {"ORIGINS": page_origin}) as server:
        async with page_with(browser, page_origin, scripts / "centrifuge.js") as page:
            await converse(page, server, transport, room("chat"))
