"""The official JavaScript SDK, in Node, against a real server."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from gateway_sdk import ENDPOINT, Server, token

NODE = Path(__file__).parent / "node"
STEPS = 9


def not_run(reason: str) -> None:
    """In CI this has to run; elsewhere there may be no Node."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the SDK, installed once for each version of `package.json`."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        not_run("there is no node or no npm")
    wanted = (NODE / "package.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / f"hubbub-tests/node-{hashlib.sha256(wanted).hexdigest()[:16]}"
    if not folder.exists():
        fresh = tmp_path_factory.mktemp("node")
        (fresh / "package.json").write_bytes(wanted)
        options = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
        installed = subprocess.run(
            ["npm", "install", *options], cwd=fresh, capture_output=True, text=True, timeout=50, check=False
        )
        if installed.returncode:
            not_run(f"npm could not install the SDK: {installed.stderr[-500:]}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.exists():  # another test process may have been faster
            shutil.move(fresh, folder)
    return folder


async def test_the_javascript_sdk_works_unmodified(server: Server, node_folder: Path) -> None:
    tokens = {
        "ada": token("ada"),
        "bob": token("bob"),
        "old": token("ada", ttl=-60),
        "short": token("ada", ttl=2),
        "rooms": token("ada", channels=["news:node"]),
    }
    for one in tokens.values():
        server.secret(one)
    script = node_folder / "conversation.mjs"
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
