"""A worker process of a folder's Valkey: tells when it is ready, and stops when its input ends."""

import asyncio
import sys
from pathlib import Path

from hubbub.brokers.embedded_process import ValkeyProcess


async def work(folder: str) -> None:
    process = ValkeyProcess(Path(folder))
    await process.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await process.stop()


asyncio.run(work(sys.argv[1]))
