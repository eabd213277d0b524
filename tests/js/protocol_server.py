"""The server's part of the Centrifuge protocol, played by a test on a scripted server."""

import json
from typing import Any

from scripted_server import ScriptedServer, receive
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

Message = dict[str, Any]


class ProtocolSocket:
    """One connection of a client, on the server's side."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self._read: list[Message] = []

    @classmethod
    async def accepted(cls, server: ScriptedServer) -> "ProtocolSocket":
        """The next connection."""
        return cls(await server.connection())

    @classmethod
    async def connected(cls, server: ScriptedServer, **result: Any) -> "ProtocolSocket":
        """The next connection, its connect command answered."""
        socket = await cls.accepted(server)
        await socket.answer("connect", client="me", **result)
        return socket

    async def frame(self) -> list[Message]:
        """The commands of the next frame."""
        assert not self._read, "commands of the last frame were not looked at"
        (frame,) = await receive(self.connection)
        assert isinstance(frame, str)
        return [json.loads(line) for line in frame.split("\n")]

    async def command(self) -> Message:
        """The next command."""
        if not self._read:
            self._read = await self.frame()
        return self._read.pop(0)

    async def request(self, method: str) -> tuple[int, Message]:
        """The number and content of the next command, which is one of that method."""
        command = await self.command()
        assert method in command, command
        return command.get("id", 0), command[method]

    async def answer(self, method: str, **result: Any) -> Message:
        """Answer the next command; returns what it asked."""
        number, request = await self.request(method)
        await self.send({"id": number, method: result})
        return request

    async def refuse(self, method: str, code: int, *, temporary: bool = False) -> Message:
        """Answer the next command with an error."""
        number, request = await self.request(method)
        error = {"code": code, "message": f"error {code}", **({"temporary": True} if temporary else {})}
        await self.send({"id": number, "error": error})
        return request

    async def send(self, *messages: Message) -> None:
        """Send messages in one frame."""
        await self.connection.send("\n".join(json.dumps(message) for message in messages))

    async def push(self, channel: str, **push: Any) -> None:
        """Send a push about a channel."""
        await self.send({"push": {"channel": channel, **push}})

    async def rest(self) -> list[Message]:
        """The commands that nobody has looked at, when the connection has ended."""
        rest, self._read = self._read, []
        try:
            while True:
                rest += await self.frame()
        except ConnectionClosed:
            return rest

    async def close(self, code: int, reason: str = "") -> None:
        """End the connection."""
        await self.connection.close(code, reason)
