"""The `websockets` library with its own broadcast(), on uvloop. Usage: python -m ... PORT."""

import json
import sys
from collections import defaultdict

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

everyone: set[ServerConnection] = set()
rooms: dict[str, set[ServerConnection]] = defaultdict(set)


async def fan_out(connection: ServerConnection) -> None:
    everyone.add(connection)
    try:
        async for text in connection:
            broadcast(everyone, text)
    finally:
        everyone.discard(connection)


async def fan_out_json(connection: ServerConnection) -> None:
    everyone.add(connection)
    try:
        async for text in connection:
            message = json.loads(text)
            broadcast(everyone, json.dumps({"from": message["from"], "text": message["text"]}))
    finally:
        everyone.discard(connection)


async def in_rooms(connection: ServerConnection) -> None:
    joined = str(await connection.recv()).split()[1:]
    for room in joined:
        rooms[room].add(connection)
    await connection.send("joined")
    try:
        async for text in connection:
            _, room, payload = str(text).split(" ", 2)
            broadcast(rooms[room], payload)
    finally:
        for room in joined:
            rooms[room].discard(connection)


async def echo(connection: ServerConnection) -> None:
    async for text in connection:
        await connection.send(text)


async def route(connection: ServerConnection) -> None:
    path = connection.request.path if connection.request else ""
    handlers = {"/ws": fan_out, "/json": fan_out_json, "/rooms": in_rooms, "/echo": echo}
    await handlers[path](connection)


async def main(port: int) -> None:
    # No compression: the load generator offers none, and it would not be used.
    async with serve(route, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
