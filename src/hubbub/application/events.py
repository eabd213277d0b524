"""Handlers of events in FastAPI's style: parameters, bodies and `Depends`, resolved for each event.

A handler is an endpoint of a FastAPI application that no client can reach. An event becomes a request to it,
inside the process: the path's parameters are those of the room's pattern, the body is the event's data, the
headers and cookies are those of the client's handshake. So everything that FastAPI offers an endpoint works,
and nothing of FastAPI's inside is used.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI
from starlette.middleware import Middleware

from hubbub.application.visitors import VISITOR
from hubbub.asgi.events import Event, Receive, Scope, Send
from hubbub.centrifuge.errors import ClientError, ErrorCode
from hubbub.core.messages import Json, Payload, to_payload
from hubbub.gateway.handlers import CommandFailed, Visitor
from hubbub.hub.background import Background

Handler = Callable[..., Any]

_CODES: Final = {
    400: ErrorCode.BAD_REQUEST,
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.PERMISSION_DENIED,
    404: ErrorCode.METHOD_NOT_FOUND,
    405: ErrorCode.METHOD_NOT_FOUND,
    413: ErrorCode.BAD_REQUEST,
    422: ErrorCode.BAD_REQUEST,
    429: ErrorCode.TOO_MANY_REQUESTS,
    503: ErrorCode.INTERNAL,
}
"""HTTP status of a handler's refusal: what the client is told. Any other is 100, our fault."""


class Events:
    """Handlers by path, and the way to call them."""

    __slots__ = ("_app", "_handled", "_left", "_outer")

    def __init__(self) -> None:
        self._app = FastAPI(openapi_url=None, middleware=[Middleware(_InTheClientsApp)])
        self._handled = dict(self._app.exception_handlers)  # what FastAPI handles by itself
        self._left = Background("what handlers leave to be done")
        self._outer: object = None  # the application whose exceptions are handled as it says

    def add(self, path: str, handler: Handler) -> None:
        """Call the handler for events of this path, like ``/rpc/add`` or ``/message/chat:{name}``."""
        self._app.post(path)(handler)

    async def call(self, path: str, visitor: Visitor, data: Payload | None = None) -> Payload | None:
        """Call the handler of a path; what it returns, as JSON, or None for None.

        Raises:
            CommandFailed: if it refuses with an `HTTPException`, or the data is not what it takes.
            HubbubError: what it raises of these.
            Exception: what else it raises.
        """
        self._be_part_of(visitor.scope.get("app"))
        exchange = _Exchange(_body(data))
        scope = _scope(path, visitor, data, exchange.body)
        work = asyncio.ensure_future(self._app(scope, exchange.receive, exchange.send))
        work.add_done_callback(exchange.end)
        try:
            # Not asyncio.wait: in Python 3.14 its frame and a task that is cancelled there keep each other.
            await exchange.answered
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait((work,))
            raise
        if work.done():
            work.result()
        else:
            self._left.run(_wait_for(work))
        if exchange.status >= 300:
            code = _CODES.get(exchange.status, ErrorCode.INTERNAL)
            raise CommandFailed(ClientError(int(code), code.text, code.temporary))
        answer = exchange.answer.decode()
        return None if answer in ("", "null") else Json(answer)

    async def finish(self) -> None:
        """The hub ends: what handlers have left to be done may finish, if it is quick."""
        await self._left.finish()

    def _be_part_of(self, outer: object) -> None:
        """Have dependencies and exceptions be what they are in the application that the client came by."""
        self._app.dependency_overrides = getattr(outer, "dependency_overrides", {})
        if outer is not self._outer:
            self._outer = outer
            self._app.exception_handlers = {**self._handled, **getattr(outer, "exception_handlers", {})}
            self._app.middleware_stack = None  # it is made again, with these


class _InTheClientsApp:
    """``request.app`` is the application that the client came by, with all that its state holds."""

    __slots__ = ("_app",)

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = scope[VISITOR].scope.get("app", scope["app"])
        await self._app(scope, receive, send)


class _Exchange:
    """One request and its answer."""

    __slots__ = ("_given", "answer", "answered", "body", "status")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.answer = b""
        self.answered = asyncio.get_running_loop().create_future()  # set when no more of the answer will come
        self.status = 500
        self._given = False

    async def receive(self) -> Event:
        if self._given:
            return {"type": "http.disconnect"}
        self._given = True
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
        elif event["type"] == "http.response.body":
            self.answer += event.get("body", b"")
            if not event.get("more_body"):
                self.end()

    def end(self, *_: object) -> None:
        """There is no more of the answer."""
        if not self.answered.done():
            self.answered.set_result(None)


async def _wait_for(work: Awaitable[None]) -> None:
    await work


def _body(data: Payload | None) -> bytes:
    if data is None:
        return b""
    if isinstance(data, bytes):
        return data
    return (data if isinstance(data, Json) else _as_json(data)).encode()


def _as_json(text: str) -> str:
    return str(to_payload([text]))[1:-1]


def _scope(path: str, visitor: Visitor, data: Payload | None, body: bytes) -> Scope:
    kind = b"application/octet-stream" if isinstance(data, bytes) else b"application/json"
    own = (b"content-type", b"content-length", b"transfer-encoding", b"connection", b"upgrade")
    headers = [(name, value) for name, value in visitor.scope["headers"] if name not in own]
    headers += [(b"content-length", str(len(body)).encode())]
    if body:
        headers += [(b"content-type", kind)]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": visitor.scope.get("query_string", b""),
        "root_path": "",
        "headers": headers,
        "client": visitor.scope.get("client"),
        "server": visitor.scope.get("server"),
        "state": visitor.scope.get("state", {}),
        VISITOR: visitor,
    }
