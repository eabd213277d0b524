"""Django Channels with its in-memory layer: a consumer for each socket, and groups. Served by daphne."""

import json
from typing import Any

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    INSTALLED_APPS=["channels"],
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

EVERYONE = "bench"


class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """What the others share: a text of the group goes to the socket."""

    async def out(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])

    async def publish(self, group: str, text: str) -> None:
        await self.channel_layer.group_send(group, {"type": "out", "text": text})


class FanOut(Consumer):
    async def connect(self) -> None:
        await self.channel_layer.group_add(EVERYONE, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(EVERYONE, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.publish(EVERYONE, text_data or "")


class FanOutJson(FanOut):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message = json.loads(text_data or "")
        await self.publish(EVERYONE, json.dumps({"from": message["from"], "text": message["text"]}))


class InRooms(Consumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        verb, rest = (text_data or "").split(" ", 1)
        if verb == "pub":
            room, payload = rest.split(" ", 1)
            await self.publish(room, payload)
            return
        for room in rest.split():
            await self.channel_layer.group_add(room, self.channel_name)
        await self.send(text_data="joined")


class Echo(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=text_data)


application = ProtocolTypeRouter(
    {
        "websocket": URLRouter(
            [
                path("ws", FanOut.as_asgi()),
                path("json", FanOutJson.as_asgi()),
                path("rooms", InRooms.as_asgi()),
                path("echo", Echo.as_asgi()),
            ]
        )
    }
)
