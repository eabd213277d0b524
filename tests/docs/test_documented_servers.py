"""The commands that start a server, as docs/how-to/deploy.md gives them, start one that answers."""

import asyncio
import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from document_apps import DEADLINE
from document_blocks import ROOT, blocks_of
from ports import free_port
from websockets.asyncio.client import connect

PAGE = ROOT / "docs/how-to/deploy.md"
PORT_OPTIONS = {
    "hubbub": "--port={}",
    "uvicorn": "--port={}",
    "hypercorn": "--bind=127.0.0.1:{}",
    "granian": "--port={}",
    "daphne": "--port={}",
}
PATIENCE = 5.0
"""Seconds that a server may take to end by itself."""


MODULE = "\n\n".join(block.text for block in blocks_of(PAGE) if block.language == "python")
COMMANDS = next(block for block in blocks_of(PAGE) if block.language == "sh").text.splitlines()


async def answer(port: int) -> str | bytes:
    """What the app answers, once it listens."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                async with connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as client:
                    await client.send("hello")
                    return await client.recv()
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)


def test_the_page_names_each_server_once() -> None:
    assert sorted(shlex.split(line)[0] for line in COMMANDS) == sorted(PORT_OPTIONS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda line: shlex.split(line)[0])
async def test_the_command_starts_a_server_on_which_the_app_answers(command: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(MODULE)
    name, *words = shlex.split(command)
    port = free_port()
    program = Path(sys.executable).with_name(name)
    path = {"PYTHONPATH": str(tmp_path)} if name == "daphne" else {}
    with (tmp_path / "log").open("w+") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            *words,
            PORT_OPTIONS[name].format(port),
            cwd=tmp_path,
            env=os.environ | path,
            stdout=log,
            stderr=log,
        )
        try:
            assert await answer(port) == "Echo: hello", (tmp_path / "log").read_text()
        finally:
            process.send_signal(signal.SIGINT)
            # How other servers end is theirs: daphne has been seen to hear no SIGINT.
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), PATIENCE)
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert "Traceback" not in (tmp_path / "log").read_text()
