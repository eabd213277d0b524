"""``python -m benchmarks.churn``: many clients come and go, and the server must be as it was before.

A third of them says goodbye, a third closes the TCP connection without a word, a third resets it.
"""

import argparse
import asyncio
import json
import os
import socket
import struct
import sys
import time
import urllib.request

from benchmarks.process import ServerProcess, cores, free_port, raise_file_limit

WARM_UP = 10_000
IN_FLIGHT = 64
ROOMS = 100
IDLE_SECONDS = 30.0
MEMORY_GROWTH = 4 << 20
"""Bytes that the process may have grown by, whatever the number of clients."""

GOODBYE = b"\x88\x82\x00\x00\x00\x00" + struct.pack("!H", 1000)
REQUEST = (
    "GET /room/{room} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def visit(port: int, number: int) -> None:
    """One client: connect, join, hear the welcome, and leave in one of three ways."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST.format(room=number % ROOMS).encode())
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(2 + len("welcome"))
    if number % 3 == 0:
        writer.write(GOODBYE)
        await reader.read()
    elif number % 3 == 1:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.close()


async def churn(port: int, count: int) -> None:
    """Let so many clients come and go, some at once."""
    numbers = iter(range(count))
    began = time.monotonic()

    async def worker() -> None:
        for number in numbers:
            async with asyncio.timeout(30):
                await visit(port, number)
            if number % 20_000 == 19_999:
                print(f"  {number + 1:,} clients, {time.monotonic() - began:.0f} s", flush=True)

    async with asyncio.TaskGroup() as workers:
        for _ in range(IN_FLIGHT):
            workers.create_task(worker())


def idle_state(port: int) -> dict[str, int]:
    """What the server holds once everybody has gone."""
    deadline = time.monotonic() + IDLE_SECONDS
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/state", timeout=10) as answer:
            state: dict[str, int] = json.load(answer)
        if state["connections"] == 0 or time.monotonic() > deadline:
            return state
        time.sleep(0.2)


def complaints(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """What has grown and should not have."""
    found = [f"{name}: {after[name]} left" for name in ("connections", "rooms") if after[name]]
    found += [
        f"{name}: {before[name]} before, {after[name]} after"
        for name in ("tasks", "descriptors")
        if after[name] > before[name]
    ]
    if after["memory"] > before["memory"] + MEMORY_GROWTH:
        found.append(f"memory: {before['memory']:,} bytes before, {after['memory']:,} after")
    return found


def main() -> int:
    """Run it; the exit status is 1 if something was left behind."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.churn")
    parser.add_argument("--clients", type=int, default=200_000)
    clients: int = parser.parse_args().clients
    raise_file_limit()
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "benchmarks.servers.churn_app:app", "--port", str(port)]
    argv += ["--log-level", "warning", "--http", "hubbub.uvicorn:HttpProtocol"]
    argv += ["--ws", "hubbub.uvicorn:WebSocketProtocol"]
    with ServerProcess("churn", argv, port, cores()[0], {"PYTHONPATH": os.getcwd()}):
        asyncio.run(churn(port, WARM_UP))
        before = idle_state(port)
        print(f"after {WARM_UP:,} clients: {before}", flush=True)
        asyncio.run(churn(port, clients))
        after = idle_state(port)
        print(f"after {clients:,} more:   {after}")
    found = complaints(before, after)
    print("\n".join(found) or "nothing was left behind")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
