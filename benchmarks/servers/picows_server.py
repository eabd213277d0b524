"""picows' core API on uvloop: no coroutines, and a loop of send(). Usage: python -m ... PORT."""

import asyncio
import json
import sys
from collections import defaultdict

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

everyone: set[WSTransport] = set()
rooms: dict[str, set[WSTransport]] = defaultdict(set)


class FanOut(WSListener):  # type: ignore[misc]
    def on_ws_connected(self, transport: WSTransport) -> None:
        everyone.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        everyone.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.publish(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def publish(self, text: bytes) -> None:
        for member in everyone:
            member.send(WSMsgType.TEXT, text)


class FanOutJson(FanOut):
    def publish(self, text: bytes) -> None:
        message = json.loads(text)
        super().publish(json.dumps({"from": message["from"], "text": message["text"]}).encode())


class InRooms(WSListener):  # type: ignore[misc]
    def __init__(self) -> None:
        self.joined: list[str] = []

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for room in self.joined:
            rooms[room].discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            transport.disconnect()
            return
        verb, rest = frame.get_payload_as_utf8_text().split(" ", 1)
        if verb == "pub":
            room, payload = rest.split(" ", 1)
            text = payload.encode()
            for member in rooms[room]:
                member.send(WSMsgType.TEXT, text)
            return
        self.joined = rest.split()
        for room in self.joined:
            rooms[room].add(transport)
        transport.send(WSMsgType.TEXT, b"joined")


class Echo(WSListener):  # type: ignore[misc]
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


LISTENERS: dict[bytes, type[WSListener]] = {
    b"/ws": FanOut,
    b"/json": FanOutJson,
    b"/rooms": InRooms,
    b"/echo": Echo,
}


async def main(port: int) -> None:
    def listener(request: WSUpgradeRequest) -> WSListener:
        return LISTENERS[request.path]()

    server = await ws_create_server(listener, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main(int(sys.argv[1])))
