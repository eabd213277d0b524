"""The official JavaScript SDK, in Node, against a real server."""

import asyncio
import json
from pathlib import Path

from gateway_sdk import ENDPOINT, Server, token
from node_sdk import installed_sdk

NODE = Path(__file__).parent / "node"
STEPS = 9


async def test_the_javascript_sdk_works_unmodified(server: Server) -> None:
    tokens = {
        "ada": token("ada"),
        "bob": token("bob"),
        "old": token("ada", ttl=-60),
        "short": token("ada", ttl=2),
        "rooms": token("ada", channels=["news:node"]),
    }
    for one in tokens.values():
        server.secret(one)
    script = await asyncio.to_thread(installed_sdk) / "conversation.mjs"
    script.write_bytes((NODE / "conversation.mjs").read_bytes())
    process = await asyncio.create_subprocess_exec(
        "node",
        str(script),
        server.ws(ENDPOINT),
        server.origin,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(50):
            output, _ = await process.communicate(json.dumps(tokens).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode()
    assert process.returncode == 0, text
    assert text.count("ok: ") == STEPS, text
