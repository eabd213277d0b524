"""A client without WebSockets, by hand: a response that is read as it comes, and requests to `/emulation`."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from gateway_sdk import Server

from hubbub.centrifuge.protobuf_wire import block, read_varint
from hubbub.core.errors import InvalidMessage

Reply = dict[str, Any]
SECONDS = 10.0


class Stream:
    """One connection. Pings are counted and answered, unless `mute`."""

    def __init__(self, http: httpx.AsyncClient, response: httpx.Response, emulation: str) -> None:
        self.http = http
        self.response = response
        self.session = ""
        self.node = ""
        self.client = ""
        self.pings = 0
        self.mute = False
        self._emulation = emulation
        self._pieces = response.aiter_bytes()
        self._rest = b""
        self._replies: deque[Reply] = deque()
        self._number = 1
        self.kind = response.headers["content-type"].partition(";")[0]

    async def say(self, *commands: Reply) -> int:
        """Send commands in one request; returns the status of its answer."""
        return await self.say_frame("\n".join(map(json.dumps, commands)))

    async def say_frame(self, frame: str) -> int:
        """Send a frame as it is."""
        body = {"session": self.session, "node": self.node, "data": frame}
        return (await self.http.post(self._emulation, json=body)).status_code

    async def next(self) -> Reply:
        """The next reply or push. Raises `StopAsyncIteration` at the end of the response."""
        async with asyncio.timeout(SECONDS):
            while not self._replies:
                self._rest += await anext(self._pieces)
                *lines, self._rest = self._rest.split(b"\n")
                for line in lines:
                    await self._line(line)
        return self._replies.popleft()

    async def _line(self, line: bytes) -> None:
        if self.kind == "text/event-stream":
            if not line.startswith(b"data: "):
                assert line in (b"", b":"), line
                return
            line = line[6:]
        reply = json.loads(line)
        if reply:
            self._replies.append(reply)
            return
        self.pings += 1
        if not self.mute:
            await self.say({})

    async def push(self, kind: str) -> Any:
        """The next push, which has to be of this kind."""
        reply = await self.next()
        assert kind in reply.get("push", ()), reply
        return reply["push"][kind]

    async def ask(self, method: str, **request: Any) -> Any:
        """The result of a command, or its error as a whole number; pushes before it stay."""
        self._number += 1
        assert await self.say({"id": self._number, method: request}) == 204
        return await self.answer(self._number, method)

    async def answer(self, number: int, method: str) -> Any:
        """The result of the command with this number."""
        passed: list[Reply] = []
        while True:
            reply = await self.next()
            if reply.get("id") == number:
                self._replies.extendleft(reversed(passed))
                return reply["error"]["code"] if "error" in reply else reply[method]
            passed.append(reply)

    async def end(self) -> int:
        """The code of the disconnect push, after which the response has to end."""
        while True:
            reply = await self.next()
            if "disconnect" in reply.get("push", ()):
                break
        try:
            late = await self.next()
        except StopAsyncIteration:
            return int(reply["push"]["disconnect"]["code"])
        raise AssertionError(f"after the disconnect push: {late}")


@asynccontextmanager
async def stream(
    server: Server,
    kind: str,
    token: str | None = None,
    *,
    first: str | None = None,
    through: Server | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[Stream]:
    """Open a connection: `sse`, `sse_post` or `http_stream`.

    Without `first`, a connect command is sent and answered. Commands go `through` another server, if given.
    """
    command = {"id": 1, "connect": {"token": server.secret(token)} if token else {}}
    frame = json.dumps(command) if first is None else first
    options: dict[str, Any] = {"headers": headers}
    if kind == "sse":
        options["params"] = {"cf_connect": frame}
    else:
        options["content"] = frame
    path = f"/connection/{kind.removesuffix('_post')}"
    emulation = f"{(through or server).origin}/emulation"
    async with (
        server.http(timeout=SECONDS) as http,
        http.stream("GET" if kind == "sse" else "POST", path, **options) as response,
    ):
        assert response.status_code == 200, await response.aread()
        one = Stream(http, response, emulation)
        if first is None:
            answer = await one.answer(1, "connect")
            one.session, one.node, one.client = answer["session"], answer["node"], answer["client"]
        yield one


def first_message(data: bytes) -> tuple[bytes | None, bytes]:
    """The first protobuf message of what came, None if it is not there yet, and the rest."""
    try:
        length, start = read_varint(data, 0)
    except InvalidMessage:
        return None, data
    end = start + length
    return (data[start:end], data[end:]) if end <= len(data) else (None, data)


def emulation_request(session: str, node: str, frame: bytes) -> bytes:
    """A request to `/emulation` in protobuf."""
    return block(1, node.encode()) + block(2, session.encode()) + block(3, frame)
