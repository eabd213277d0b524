"""The ASGI side: the app's scope, its `send`, and how its task ends (ASGI WebSocket specification 2.4)."""

import asyncio
import logging
from typing import Any, Final
from urllib.parse import unquote

from uvicorn.protocols.utils import ClientDisconnected, get_client_addr

from hubbub.core.deflate import DeflateTerms, accept_offer, encode_compressed_frame
from hubbub.core.errors import CloseCode
from hubbub.core.frames import Opcode, encode_frame, encode_text
from hubbub.uvicorn.closing import Closing
from hubbub.uvicorn.endpoint import Endpoint
from hubbub.uvicorn.handshake import UpgradeRequest, accept_response, http_response
from hubbub.uvicorn.inbox import Message
from hubbub.uvicorn.redaction import redacted_path
from hubbub.uvicorn.sockets import Address
from hubbub.uvicorn.writer import State

_CONNECTING: Final = State.CONNECTING
_OPEN: Final = State.OPEN
_LOST: Final = State.LOST
_TEXT: Final = int(Opcode.TEXT)
_BINARY: Final = int(Opcode.BINARY)


class Exchange:
    """The request and the app's own HTTP response to it: kept from the request until the app has answered."""

    __slots__ = ("body", "headers", "request", "scope", "status")

    def __init__(self, request: UpgradeRequest, scope: dict[str, Any]) -> None:
        self.request = request
        self.scope = scope
        self.status = 0  # of a denial response that has begun
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""


class ApplicationSide(Closing):
    """Runs the app for one connection."""

    __slots__ = ("_closed_by_app", "_exchange")

    permessage_deflate = False
    """Whether to agree to compression when the client offers it and uvicorn's option does not forbid it."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._exchange: Exchange | None = None  # None before the request and once it is answered
        # By "websocket.close" or a response: then sending more is the app's error.
        self._closed_by_app = False

    def _start_app(self, request: UpgradeRequest, client: Address, server: Address) -> None:
        endpoint = self._endpoint
        root_path = endpoint.root_path
        path = request.path.decode("ascii")
        scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": endpoint.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if self._transport.get_extra_info("sslcontext") else "ws",
            "server": server,
            "client": client,
            "root_path": root_path,
            "path": root_path + (unquote(path) if "%" in path else path),
            "raw_path": root_path.encode("ascii") + request.path if root_path else request.path,
            "query_string": request.query,
            "headers": request.headers,
            "subprotocols": request.subprotocols,
            "state": endpoint.app_state.copy(),
            "extensions": {"websocket.http.response": {}, "hubbub.frames": {"writer": self}},
        }
        self._exchange = Exchange(request, scope)
        self._next = {"type": "websocket.connect"}  # nobody waits yet
        task = endpoint.loop.create_task(self._run_app(scope))
        endpoint.tasks.add(task)
        task.add_done_callback(endpoint.task_ended)

    async def _run_app(self, scope: dict[str, Any]) -> None:
        logger = self._endpoint.logger
        try:
            result = await self._endpoint.app(scope, self.receive, self.send)
        except ClientDisconnected:
            self._conclude(CloseCode.NORMAL)
        except asyncio.CancelledError:
            self._conclude(CloseCode.SERVICE_RESTART)
            raise
        except BaseException:
            logger.exception("Exception in ASGI application\n")
            self._conclude(CloseCode.INTERNAL_ERROR)
        else:
            if self._state in (State.CONNECTING, State.RESPONDING):
                logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                logger.error("ASGI callable should return None, but returned '%s'.", result)
            self._conclude(CloseCode.NORMAL)

    def _conclude(self, code: CloseCode) -> None:
        """The app has ended: do what it left undone."""
        if self._state in (State.CONNECTING, State.RESPONDING):
            self._refuse(500, b"Internal Server Error")
        else:
            self.close(code)
            self._exchange = None  # of a client that left before the answer: its scope holds us

    async def send(self, message: Message) -> None:
        """The app's `send`. Waits while the client reads too slowly.

        Raises:
            ClientDisconnected: if the client is gone or has closed; an OSError, as ASGI 2.4 demands.
            RuntimeError: if the message may not be sent now.
        """
        if self.paused or self._state is _LOST:
            await self._writable()
        if self._state is _OPEN:
            if message["type"] == "websocket.send":
                data = message.get("bytes")
                if self._window_bits:
                    opcode, data = (_TEXT, message["text"].encode()) if data is None else (_BINARY, data)
                    self._write(encode_compressed_frame(opcode, data, self._window_bits))
                elif data is None:
                    self._write(encode_text(message["text"]))
                else:
                    self._write(encode_frame(_BINARY, data))
            elif message["type"] == "websocket.close":
                self._closed_by_app = True
                self._start_close(message.get("code", 1000), message.get("reason") or "")
            else:
                raise _unexpected(message, "'websocket.send' or 'websocket.close'")
        elif self._state is _CONNECTING:
            self._answer(message)
        elif self._state is State.RESPONDING:
            self._continue_response(message)
        elif self._closed_by_app:
            raise RuntimeError(
                f"Unexpected ASGI message '{message['type']}', after sending 'websocket.close'."
            )
        elif message["type"] != "websocket.close":
            raise ClientDisconnected

    def _answer(self, message: Message) -> None:
        """The app's first message: accept, refuse, or the start of an HTTP response of its own."""
        if message["type"] == "websocket.accept":
            self._accept(message)
        elif message["type"] == "websocket.close":
            self._log(403)
            self._deliver({"type": "websocket.disconnect", "code": 1006})
            self._closed_by_app = True
            self._refuse(403)
        elif message["type"] == "websocket.http.response.start":
            self._start_response(message)
        else:
            raise _unexpected(
                message, "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'"
            )

    def _accept(self, message: Message) -> None:
        assert self._exchange is not None
        request = self._exchange.request
        terms = self._agree_deflate(request)
        try:
            response = accept_response(
                request.key,
                message.get("headers") or (),
                message.get("subprotocol"),
                terms.response if terms else None,
                self._endpoint.default_lines,
            )
        except ValueError as error:
            raise RuntimeError(str(error)) from None
        self._log("[accepted]")
        self._exchange = None
        if self._transport.is_closing():
            return
        self._window_bits = terms.window_bits if terms else 0
        self._write(response)
        self._state = _OPEN
        self._start_keepalive()
        self._opened()

    def _agree_deflate(self, request: UpgradeRequest) -> DeflateTerms | None:
        if not self.permessage_deflate or not self._endpoint.config.ws_per_message_deflate:
            return None
        return accept_offer([request.extensions])

    def _start_response(self, message: Message) -> None:
        """Begin a denial response (ASGI extension "websocket.http.response")."""
        assert self._exchange is not None
        status = message["status"]
        if not 100 <= status < 600:
            raise RuntimeError(f"Invalid HTTP status code '{status}' in response.")
        self._log(status)
        self._exchange.status = status
        self._exchange.headers = list(message.get("headers") or ())
        self._state = State.RESPONDING

    def _continue_response(self, message: Message) -> None:
        """Collect the body of a denial response; the last piece sends all."""
        if message["type"] != "websocket.http.response.body":
            raise _unexpected(message, "'websocket.http.response.body'")
        assert self._exchange is not None
        self._exchange.body += message.get("body", b"")
        if message.get("more_body", False):
            return
        try:
            response = self._http_response(self._exchange.status, self._exchange.headers, self._exchange.body)
        except ValueError as error:
            raise RuntimeError(str(error)) from None
        self._deliver({"type": "websocket.disconnect", "code": 1006})
        self._closed_by_app = True
        self._respond(response)

    def _refuse(self, status: int, body: bytes = b"", headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Answer the request with an HTTP error of ours and end the connection."""
        self._respond(self._http_response(status, headers, body))

    def _respond(self, response: bytes) -> None:
        self._exchange = None
        if not self._transport.is_closing():
            self._write(response)
        self._end()

    def _http_response(self, status: int, headers: Any, body: bytes) -> bytes:
        """Put uvicorn's default headers before those given."""
        names = {name.lower() for name, _ in headers}
        defaults = [one for one in self._endpoint.server_state.default_headers if one[0] not in names]
        return http_response(status, [*defaults, *headers], body)

    def _log(self, outcome: int | str) -> None:
        """Write uvicorn's line for a handshake, without the tokens that its own has (SECRET_PARAMETERS)."""
        logger = self._endpoint.logger
        if not logger.isEnabledFor(logging.INFO):
            return
        assert self._exchange is not None
        scope = self._exchange.scope
        logger.info(
            '%s - "WebSocket %s" %s',
            get_client_addr(scope),  # type: ignore[arg-type]
            redacted_path(scope["path"], scope["query_string"]),
            outcome,
        )

    def _opened(self) -> None:
        """The connection is open: take the frames that came early."""
        raise NotImplementedError


def _unexpected(message: Message, expected: str) -> RuntimeError:
    return RuntimeError(f"Expected ASGI message {expected}, but got '{message['type']}'.")
