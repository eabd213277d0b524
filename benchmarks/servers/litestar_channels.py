"""Litestar's ChannelsPlugin on its memory backend, with a subscriber for each socket."""

import json

from litestar import Litestar, WebSocket, websocket
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.exceptions import WebSocketDisconnect

EVERYONE = "bench"
plugin = ChannelsPlugin(backend=MemoryChannelsBackend(), arbitrary_channels_allowed=True)


@websocket("/ws")  # type: ignore[untyped-decorator]
async def fan_out(socket: WebSocket, channels: ChannelsPlugin) -> None:
    await socket.accept()
    async with (
        channels.start_subscription([EVERYONE]) as subscriber,
        subscriber.run_in_background(socket.send_text),
    ):
        try:
            while True:
                channels.publish(await socket.receive_text(), EVERYONE)
        except WebSocketDisconnect:
            return


@websocket("/json")  # type: ignore[untyped-decorator]
async def fan_out_json(socket: WebSocket, channels: ChannelsPlugin) -> None:
    await socket.accept()
    async with (
        channels.start_subscription([EVERYONE]) as subscriber,
        subscriber.run_in_background(socket.send_text),
    ):
        try:
            while True:
                message = json.loads(await socket.receive_text())
                channels.publish({"from": message["from"], "text": message["text"]}, EVERYONE)
        except WebSocketDisconnect:
            return


@websocket("/rooms")  # type: ignore[untyped-decorator]
async def rooms(socket: WebSocket, channels: ChannelsPlugin) -> None:
    await socket.accept()
    joined = (await socket.receive_text()).split()[1:]
    async with (
        channels.start_subscription(joined) as subscriber,
        subscriber.run_in_background(socket.send_text),
    ):
        await socket.send_text("joined")
        try:
            while True:
                _, room, payload = (await socket.receive_text()).split(" ", 2)
                channels.publish(payload, room)
        except WebSocketDisconnect:
            return


@websocket("/echo")  # type: ignore[untyped-decorator]
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return


app = Litestar([fan_out, fan_out_json, rooms, echo], plugins=[plugin], logging_config=None)
