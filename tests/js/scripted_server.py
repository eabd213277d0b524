"""A scripted server for the browser tests: one port for the page, hubbub.js and the WebSockets of a test."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

MODULES = Path(__file__).parents[2] / "src" / "hubbub" / "js"
PAGE = Path(__file__).with_name("page.html")
DEADLINE = 20.0


async def receive(connection: ServerConnection, count: int = 1) -> list[str | bytes]:
    """The next messages from the browser."""
    async with asyncio.timeout(DEADLINE):
        return [await connection.recv() for _ in range(count)]


class ScriptedServer:
    """Hands each WebSocket to the test, which plays the server's part on it."""

    def __init__(self) -> None:
        self.port = 0
        self.attempts: list[str] = []
        """Paths of the WebSocket handshakes asked for, refused ones included."""
        self._attempt = asyncio.Condition()
        self.refuse = False
        """Answer handshakes with 503: the browser sees a failed attempt."""
        self.hang = False
        """Take the TCP connection and never answer the handshake."""
        self.subprotocols: list[str] = []
        """The subprotocols the server knows."""
        self._opened: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self._stopped = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connection(self) -> ServerConnection:
        """The next WebSocket that opens."""
        return await asyncio.wait_for(self._opened.get(), DEADLINE)

    def query(self, attempt: int) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.attempts[attempt]).query)

    async def attempted(self, count: int) -> None:
        """Waits until `count` handshakes have been asked for."""
        async with asyncio.timeout(DEADLINE), self._attempt:
            await self._attempt.wait_for(lambda: len(self.attempts) >= count)

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator["ScriptedServer"]:
        async with serve(
            self._handle,
            "127.0.0.1",
            port,
            process_request=self._answer,
            select_subprotocol=self._select_subprotocol,
            open_timeout=None,
            ping_interval=None,
            close_timeout=0.2,
        ) as server:
            self.port = self._port_of(server)
            yield self
            self._stopped.set()

    @staticmethod
    def _port_of(server: Server) -> int:
        port: int = next(iter(server.sockets)).getsockname()[1]
        return port

    async def _handle(self, connection: ServerConnection) -> None:
        self._opened.put_nowait(connection)
        await connection.wait_closed()

    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" not in request.headers:
            return self._file(request.path)
        async with self._attempt:
            self.attempts.append(request.path)
            self._attempt.notify_all()
        if self.hang:
            await self._stopped.wait()
        if self.refuse:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "not now\n")
        return None

    def _select_subprotocol(self, _: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return next((name for name in offered if name in self.subprotocols), None)

    @staticmethod
    def _file(path: str) -> Response:
        known = {"/": (PAGE, "text/html")}
        known |= {f"/{module.name}": (module, "text/javascript") for module in MODULES.glob("*.js")}
        if path not in known:
            return Response(404, "Not Found", Headers({"Content-Length": "0", "Connection": "close"}), b"")
        file, kind = known[path]
        body = file.read_bytes()
        headers = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body))}
        return Response(200, "OK", Headers({**headers, "Connection": "close"}), body)
