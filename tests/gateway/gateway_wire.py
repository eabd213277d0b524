"""A client that speaks the protocol's JSON by hand, to say what no SDK would say."""

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ENDPOINT = "/connection/websocket"
Reply = dict[str, Any]


class Wire:
    """One connection. Pings are answered; pushes that come before a reply are kept."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames = 0
        self.pings = 0
        self._number = 0
        self._replies: deque[Reply] = deque()

    async def say(self, *commands: Reply) -> None:
        """Send commands in one frame."""
        await self.socket.send("\n".join(json.dumps(command) for command in commands))

    async def next(self) -> Reply:
        """The next reply or push."""
        while not self._replies:
            frame = await self.socket.recv()
            self.frames += 1
            for line in str(frame).split("\n"):
                reply = json.loads(line)
                if reply:
                    self._replies.append(reply)
                else:
                    self.pings += 1
                    await self.socket.send("{}")
        return self._replies.popleft()

    async def push(self, kind: str) -> Any:
        """The next push, which has to be of this kind."""
        reply = await self.next()
        assert kind in reply.get("push", ()), reply
        return reply["push"][kind]

    async def ask(self, command: str, /, **request: Any) -> Any:
        """The result of a command, or its error as a whole number; pushes before it stay."""
        self._number += 1
        await self.say({"id": self._number, command: request})
        passed: list[Reply] = []
        while True:
            reply = await self.next()
            if reply.get("id") == self._number:
                self._replies.extendleft(reversed(passed))
                return reply["error"]["code"] if "error" in reply else reply[command]
            passed.append(reply)

    async def end(self) -> tuple[int, str]:
        """The close code and reason; whatever comes before is thrown away."""
        try:
            while True:
                await self.socket.recv()
        except ConnectionClosed:
            return self.socket.close_code or 0, self.socket.close_reason or ""


@asynccontextmanager
async def wire(
    url: str, token: str | None = None, *, connected: bool = True, **options: Any
) -> AsyncIterator[Wire]:
    """Open a connection and, unless told otherwise, say `connect`; what the server adds is taken off."""
    async with connect(url, max_size=None, proxy=None, ping_interval=None, **options) as socket:
        one = Wire(socket)
        if connected:
            answer = await one.ask("connect", **({"token": token} if token else {}))
            assert isinstance(answer, dict), answer
        yield one
