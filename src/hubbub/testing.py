"""WebSocket clients for tests: in memory and in the same event loop, without a server, a socket or a thread.

What the client sees is what the wire would show. A close before the handshake is done is an HTTP 403, an app
that ends without a close leaves 1006, text is UTF-8, and to a client that does not read the app has to wait::

    async with running(app), connect(app, "/chat/general?username=ada") as ada:
        await ada.send("hello")
        assert await ada.receive_json() == {"from": "ada", "text": "hello"}
"""

# ruff: noqa: ASYNC109 - a test wants to say `timeout=0.1` without a block around it

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from hubbub.asgi.events import Event, Receive, Scope, Send
from hubbub.core.errors import CloseCode, Disconnected
from hubbub.core.messages import Payload, from_json, to_payload

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

UNREAD: Final = 1_000
"""Messages that may wait on the way, in each direction, before the sender has to wait."""

_CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})


class HandshakeRejected(Exception):
    """The app answered the handshake with an HTTP response in place of an upgrade."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        super().__init__(f"the handshake was answered with HTTP {status}")
        self.status = status
        self.headers = headers or {}
        self.body = body


@asynccontextmanager
async def running(app: App) -> AsyncIterator[dict[str, Any]]:
    """Run the app's lifespan around a block. Gives the lifespan's state, which `connect` takes.

    Raises:
        RuntimeError: if the app refuses to start or to stop.
        Exception: whatever the app's lifespan raises.
    """
    events: asyncio.Queue[Event] = asyncio.Queue()
    answers: asyncio.Queue[Event] = asyncio.Queue()
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    task = asyncio.ensure_future(app(scope, events.get, answers.put))

    async def step(name: str) -> None:
        events.put_nowait({"type": f"lifespan.{name}"})
        answer = asyncio.ensure_future(answers.get())
        await asyncio.wait((answer, task), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await task
            raise RuntimeError(f"the app's lifespan ended without an answer to {name}")
        if answer.result()["type"] != f"lifespan.{name}.complete":
            await asyncio.gather(task, return_exceptions=True)
            raise RuntimeError(f"{name} failed: {answer.result().get('message', '')}")

    await step("startup")
    try:
        yield state
    finally:
        await step("shutdown")
        await task


@asynccontextmanager
async def connect(
    app: App,
    url: str = "/",
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    subprotocols: Iterable[str] = (),
    state: Mapping[str, Any] | None = None,
    raise_app_exceptions: bool = True,
    timeout: float = 5.0,
) -> AsyncIterator["Client"]:
    """Open a WebSocket to an ASGI app; close it (1000) at the end of the block and wait for the app to end.

    Args:
        app: the ASGI app. Run its lifespan with `running`.
        url: a path with or without a query, or a whole ``ws://`` URL.
        headers: of the handshake, like ``{"origin": "https://example.com"}``.
        subprotocols: those the client offers.
        state: the lifespan's.
        raise_app_exceptions: let what the app raises come out of the block. A client on the wire sees only
            HTTP 500 or 1006.
        timeout: seconds for the handshake, and for the app to end when the client has gone.

    Raises:
        HandshakeRejected: if the app does not accept.
        TimeoutError: if the app does not answer, or does not end.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    client = Client(_scope(url, pairs, list(subprotocols), state or {}))
    task = asyncio.ensure_future(client._run(app))
    try:
        async with asyncio.timeout(timeout):
            await client._answered(raise_app_exceptions)
        yield client
        await client.close()
        await asyncio.wait((task,), timeout=timeout)
        if not task.done():
            raise TimeoutError(f"the app has not ended {timeout} s after the client")
        if raise_app_exceptions and client.error is not None:
            raise client.error
    finally:
        task.cancel()
        await asyncio.wait((task,))


class Client:
    """The client's end of a WebSocket; made by `connect`."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.headers: dict[str, str] = {}  # of the app's answer to the handshake
        self.subprotocol: str | None = None  # the one that the app has selected
        self.error: BaseException | None = None  # what the app raised
        self._accepted: bool | None = None  # None until the app has answered the handshake
        self._rejected: HandshakeRejected | None = None
        self._to_app: deque[Event] = deque([{"type": "websocket.connect"}])
        self._to_client: deque[Payload] = deque()
        self._ended: Disconnected | None = None  # how the connection ended; None while it is open
        self._closed_by_app = False
        self._paused = False
        self._changed = asyncio.Event()  # set at every change of the above; all waits go round again

    # What a test does

    async def send(self, message: object) -> None:
        """Send `str` as text, `bytes` as binary, anything else as JSON text. Waits for an app that is busy.

        Raises:
            Disconnected: if the connection has ended.
        """
        payload = to_payload(message)
        await self._until(lambda: self._ended is not None or len(self._to_app) < UNREAD)
        if self._ended:
            raise self._end()
        name = "bytes" if isinstance(payload, bytes) else "text"
        self._tell({"type": "websocket.receive", name: payload})

    async def receive(self, timeout: float = 1.0) -> Payload:
        """The next message: `str` for text, `bytes` for binary.

        Raises:
            TimeoutError: if none comes within `timeout` seconds.
            Disconnected: if the connection has ended and all messages were received; with code and reason.
        """
        async with asyncio.timeout(timeout):
            await self._until(lambda: self._ended is not None or bool(self._to_client))
        if not self._to_client:
            raise self._end()
        payload = self._to_client.popleft()
        self._changed.set()
        return payload

    async def receive_json(self, timeout: float = 1.0) -> Any:
        """The next message, decoded from JSON text. Raises like `receive`, and `BadMessage`."""
        return from_json(await self.receive(timeout))

    async def wait_closed(self, timeout: float = 1.0) -> Disconnected:
        """Throw away what still comes, and tell how the connection ended. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout):
            while True:
                try:
                    await self.receive(timeout)
                except Disconnected as end:
                    return end

    @property
    def closed(self) -> Disconnected | None:
        """How the connection ended; None while it is open."""
        return self._ended

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close properly: the app is told the code and reason. A second time does nothing."""
        self._finish(code, reason)

    def drop(self) -> None:
        """Lose the connection: no close frame, 1006 on both sides."""
        self._finish(CloseCode.ABNORMAL, "")

    def pause(self) -> None:
        """Stop reading: from now on the app's `send` waits, as it does at a full socket."""
        self._paused = True

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        self._changed.set()

    # What the app sees

    async def _run(self, app: App) -> None:
        try:
            await app(self.scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shall see it
            self.error = error
        finally:
            if self._accepted is None:
                self._reject(HandshakeRejected(500))
            self._finish(CloseCode.ABNORMAL, "")

    async def _receive(self) -> Event:
        await self._until(lambda: bool(self._to_app))
        self._changed.set()
        return self._to_app.popleft()

    async def _send(self, event: Event) -> None:
        if not self._accepted:
            self._answer(event)
            return
        await self._until(lambda: self._ended is not None or not self._full)
        if self._closed_by_app:
            raise RuntimeError(f"{event['type']} after websocket.close")
        if self._ended:
            raise ConnectionResetError("the client has gone")  # an OSError: ASGI's WebSocket version 2.4
        match event:
            case {"type": "websocket.send", "bytes": bytes(data)}:
                self._to_client.append(data)
            case {"type": "websocket.send", "text": str(text)}:
                text.encode()  # text frames are UTF-8 (RFC 6455 section 5.6): a lone surrogate fails here
                self._to_client.append(text)
            case {"type": "websocket.close"}:
                code, reason = int(event.get("code") or 1000), event.get("reason") or ""
                if code not in _CLOSE_CODES or len(reason.encode()) > 123:
                    raise ValueError(f"close frame with code {code} and {len(reason)} characters of reason")
                self._finish(code, reason)
                self._closed_by_app = True
            case _:
                raise RuntimeError(f"{event['type']} with {sorted(event)} on an open WebSocket")
        self._changed.set()

    def _answer(self, event: Event) -> None:
        if self._rejected is not None and event["type"] != "websocket.http.response.body":
            raise RuntimeError(f"{event['type']} after the handshake was rejected")
        lines = event.get("headers", ())
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in lines}
        match event["type"]:
            case "websocket.accept":
                self._accepted = True
                self.headers, self.subprotocol = headers, event.get("subprotocol")
            case "websocket.close":
                self._reject(HandshakeRejected(403))
            case "websocket.http.response.start":
                self._rejected = HandshakeRejected(event["status"], headers)
            case "websocket.http.response.body" if self._rejected is not None:
                self._rejected.body += event.get("body", b"")
                if not event.get("more_body", False):
                    self._reject(self._rejected)
            case kind:
                raise RuntimeError(f"{kind} before the handshake was accepted")
        self._changed.set()

    # The wire between them

    @property
    def _full(self) -> bool:
        return self._paused or len(self._to_client) >= UNREAD

    async def _answered(self, raise_app_exceptions: bool) -> None:
        await self._until(lambda: self._accepted is not None)
        if raise_app_exceptions and self.error is not None:
            raise self.error
        if self._rejected is not None:
            raise self._rejected

    def _reject(self, rejected: HandshakeRejected) -> None:
        self._accepted = False
        self._rejected = rejected
        self._finish(CloseCode.ABNORMAL, "")

    def _finish(self, code: int, reason: str) -> None:
        if self._ended is None:
            self._ended = Disconnected(code, reason)
            self._tell({"type": "websocket.disconnect", "code": int(code), "reason": reason})

    def _end(self) -> Disconnected:
        return Disconnected(self._ended.code, self._ended.reason) if self._ended else Disconnected()

    def _tell(self, event: Event) -> None:
        self._to_app.append(event)
        self._changed.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()


def _scope(
    url: str, headers: Iterable[tuple[str, str]], subprotocols: list[str], state: Mapping[str, Any]
) -> Scope:
    parts = urlsplit(url)
    host = parts.netloc or "testserver"
    lines = [("host", host), *((name.lower(), value) for name, value in headers)]
    if subprotocols:
        lines.append(("sec-websocket-protocol", ", ".join(subprotocols)))
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": parts.scheme or "ws",
        "server": (parts.hostname or "testserver", parts.port or 80),
        "client": ("testclient", 50_000),
        "root_path": "",
        "path": unquote(parts.path or "/"),
        "raw_path": (parts.path or "/").encode(),
        "query_string": parts.query.encode(),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines],
        "subprotocols": subprotocols,
        "state": dict(state),
        "extensions": {"websocket.http.response": {}},
    }
