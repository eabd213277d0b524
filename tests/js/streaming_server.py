"""A scripted server without WebSockets: server-sent events one way, POST requests the other way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from polling import eventually
from scripted_server import DEADLINE, MODULES, PAGE
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed

NODE = "the node"
NO_WEBSOCKETS = """() => {
  window.WebSocket = function () {
    queueMicrotask(() => this.onclose({ code: 1006, reason: "", wasClean: false }));
    this.close = () => {};
  };
}"""
"""Has a page's WebSockets fail at once. Chromium makes who has had some refused wait for the next ones."""


class Stream:
    """A client's stream and its requests, with that part of a connection's interface that tests use."""

    def __init__(self, session: str, first: str) -> None:
        self.session = session
        self._said: asyncio.Queue[str | None] = asyncio.Queue()
        self._said.put_nowait(first)
        self._written: asyncio.Queue[str | None] = asyncio.Queue()

    async def recv(self) -> str:
        """The next frame of the client. Raises `ConnectionClosed` when it has gone."""
        frame = await self._said.get()
        if frame is None:
            self._said.put_nowait(None)
            raise ConnectionClosed(None, None)
        return frame

    async def send(self, frame: str) -> None:
        """An event with the frame; the answer to connect also says where requests have to go."""
        lines = [json.loads(line) for line in frame.split("\n")]
        for line in lines:
            if "connect" in line:
                line["connect"] |= {"session": self.session, "node": NODE}
        self._written.put_nowait("".join(f"data: {json.dumps(line)}\n" for line in lines) + "\n")

    async def close(self, code: int, reason: str = "") -> None:
        """End the stream, with the push that says why."""
        await self.send(json.dumps({"push": {"disconnect": {"code": code, "reason": reason}}}))
        self.cut()

    def cut(self) -> None:
        """End the stream, and say nothing."""
        self._written.put_nowait(None)

    def say(self, frame: str) -> None:
        """Take what a request has brought."""
        self._said.put_nowait(frame)

    async def events(self) -> AsyncIterator[str]:
        """The body of the answer, until the stream is ended from either side."""
        try:
            while (event := await self._written.get()) is not None:
                yield event
        finally:
            self._said.put_nowait(None)


class StreamingServer:
    """Hands each stream to the test, which plays the server's part on it. WebSockets are not found."""

    def __init__(self, policy: str = "") -> None:
        self.port = 0
        self.policy = policy
        """The content security policy of the page."""
        self.streams: dict[str, Stream] = {}
        """By the name of the session."""
        self._opened: asyncio.Queue[Stream] = asyncio.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connection(self) -> Stream:
        """The next stream that opens."""
        return await asyncio.wait_for(self._opened.get(), DEADLINE)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["StreamingServer"]:
        app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/connection/sse", self._stream),
                Route("/emulation", self._request, methods=["POST"]),
                Route("/{module}", self._module),
            ]
        )
        server = uvicorn.Server(
            uvicorn.Config(app, port=0, lifespan="off", log_config=None, timeout_keep_alive=60)
        )
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: server.started, DEADLINE)
        self.port = server.servers[0].sockets[0].getsockname()[1]
        yield self
        server.should_exit = True
        for stream in self.streams.values():
            stream.cut()
        await serving

    async def _page(self, request: Request) -> Response:
        headers = {"Content-Security-Policy": self.policy} if self.policy else {}
        return FileResponse(PAGE, media_type="text/html", headers=headers)

    async def _module(self, request: Request) -> Response:
        known = {module.name: module for module in MODULES.glob("*.js")}
        name = request.path_params["module"]
        return FileResponse(known[name], media_type="text/javascript") if name in known else Response("", 404)

    async def _stream(self, request: Request) -> Response:
        stream = Stream(f"session {len(self.streams)}", request.query_params["cf_connect"])
        self.streams[stream.session] = stream
        self._opened.put_nowait(stream)
        return StreamingResponse(stream.events(), media_type="text/event-stream")

    async def _request(self, request: Request) -> Response:
        said = await request.json()
        if said["node"] != NODE or said["session"] not in self.streams:
            return Response(status_code=404)
        self.streams[said["session"]].say(said["data"])
        return Response(status_code=204)
