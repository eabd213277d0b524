"""A chat on the hub that also tells what the process holds. Under `python -m benchmarks.churn`."""

import asyncio
import gc
import os
from pathlib import Path

from fastapi import FastAPI, WebSocket

from hubbub import Hub

hub = Hub("memory://")
app = FastAPI(lifespan=hub.lifespan)


@app.websocket("/room/{room}")
async def room_chat(websocket: WebSocket, room: str) -> None:
    async with hub.connection(websocket, heartbeat=True) as me, me.join(room):
        await hub.broadcast_to_room(room, "welcome")
        async for text in me.iter_text():
            await hub.broadcast_to_room(room, text)


def private_memory() -> int:
    """Memory in bytes that is this process's alone."""
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
    private = [line for line in rollup if line.startswith(("Private_Dirty:", "Private_Clean:"))]
    return sum(int(line.split()[1]) * 1024 for line in private)


@app.get("/state")
async def state() -> dict[str, int]:
    """Counts and memory, after a garbage collection."""
    gc.collect()
    return {
        "connections": hub.connection_count,
        "rooms": len(hub.rooms),
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "objects": len(gc.get_objects()),
        "memory": private_memory(),
    }
