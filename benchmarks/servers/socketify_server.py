"""uWebSockets, in C++, driven from Python by socketify, with its own topics. Usage: python -m ... PORT."""

import json
import sys
from typing import Any

from socketify import App, AppListenOptions, CompressOptions, OpCode

EVERYONE = "bench"
Socket = Any  # socketify has no types


def join_all(ws: Socket) -> None:
    ws.subscribe(EVERYONE)


def fan_out(ws: Socket, message: str, _: OpCode) -> None:
    app.publish(EVERYONE, message, OpCode.TEXT)


def fan_out_json(ws: Socket, message: str, _: OpCode) -> None:
    parsed = json.loads(message)
    app.publish(EVERYONE, json.dumps({"from": parsed["from"], "text": parsed["text"]}), OpCode.TEXT)


def in_rooms(ws: Socket, message: str, _: OpCode) -> None:
    verb, rest = message.split(" ", 1)
    if verb == "pub":
        room, payload = rest.split(" ", 1)
        app.publish(room, payload, OpCode.TEXT)
        return
    for room in rest.split():
        ws.subscribe(room)
    ws.send("joined", OpCode.TEXT)


def echo(ws: Socket, message: str, _: OpCode) -> None:
    ws.send(message, OpCode.TEXT)


app = App()
QUIET = {"compression": CompressOptions.DISABLED, "max_payload_length": 1 << 20, "idle_timeout": 120}
app.ws("/ws", {**QUIET, "open": join_all, "message": fan_out})
app.ws("/json", {**QUIET, "open": join_all, "message": fan_out_json})
app.ws("/rooms", {**QUIET, "message": in_rooms})
app.ws("/echo", {**QUIET, "message": echo})

if __name__ == "__main__":
    app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"))
    # Not app.run(): it spins on two loops in turn, and would be charged for its waiting. No handler here is a
    # coroutine, so libuv's loop alone is enough, and it sleeps: this is what uWebSockets itself costs.
    app.loop.uv_loop.run()
