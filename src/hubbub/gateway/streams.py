"""The protocol without WebSockets: a response that does not end, and commands by requests to `/emulation`."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from starlette.requests import Request

from hubbub.asgi.events import Receive, Scope, Send, peer_host
from hubbub.asgi.stream_transport import (
    BYTE_STREAM,
    EVENT_STREAM,
    LINE_STREAM,
    Farewell,
    StreamCodec,
    StreamTransport,
    find_abort,
    when_leaving,
)
from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.errors import Disconnect, DisconnectCode
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.protobuf_codec import PROTOBUF_CODEC
from hubbub.centrifuge.results import DisconnectPush, Push, Reply
from hubbub.centrifuge.terms import Terms
from hubbub.core.errors import CloseCode, Overloaded
from hubbub.core.gate import Place
from hubbub.core.messages import Payload
from hubbub.core.stats import RefusalReason
from hubbub.gateway.attending import attend
from hubbub.gateway.calls import Calls
from hubbub.gateway.client import Client
from hubbub.gateway.cross_origin import answer_headers
from hubbub.gateway.everywhere import Everywhere
from hubbub.gateway.formats import to_frame
from hubbub.gateway.http_requests import Refusal, admit, read_body
from hubbub.gateway.service import SHUTDOWN, Service

BINARY: Final = "application/octet-stream"
"""The content type of protobuf."""

FIRST_COMMAND: Final = "cf_connect"
"""The parameter of a GET request that has the connect command."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How messages stand in a response."""

    codec: Codec
    stream: StreamCodec
    content_type: str
    prelude: bytes = b""
    """What the body begins with, so that proxies pass the head on."""

    def farewell(self, code: int, reason: str) -> Payload:
        """The disconnect push: the last message.

        A frame that was too large is a bad request: only of a WebSocket's 1009 do SDKs know not to come back.
        """
        last = Disconnect(code, reason)
        if code == CloseCode.MESSAGE_TOO_BIG:
            last = Disconnect(int(DisconnectCode.BAD_REQUEST), reason)
        push = Push(disconnect=DisconnectPush(last.code, last.reason, last.reconnect))
        return to_frame(self.codec, self.codec.encode_replies([Reply(push=push)]))


EVENTS: Final = Encoding(JSON_CODEC, EVENT_STREAM, "text/event-stream; charset=utf-8", b":\n\n")
LINES: Final = Encoding(JSON_CODEC, LINE_STREAM, "application/json")
BYTES: Final = Encoding(PROTOBUF_CODEC, BYTE_STREAM, BINARY)


class StreamEndpoint:
    """The ASGI app of ``/connection/sse`` or ``/connection/http_stream``.

    Args:
        service: what all clients share.
        calls: carries out their calls.
        everywhere: knows all clients.
        name: ``sse`` or ``http_stream``.
    """

    __slots__ = ("_calls", "_everywhere", "_known_terms", "_methods", "_name", "_service")

    def __init__(self, service: Service, calls: Calls, everywhere: Everywhere, name: str) -> None:
        self._service = service
        self._calls = calls
        self._everywhere = everywhere
        self._name = name
        self._known_terms = service.terms
        self._methods = "GET, POST, OPTIONS" if name == "sse" else "POST, OPTIONS"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client, until it has gone.

        Raises:
            HubNotRunning: outside the hub's lifespan.
        """
        origins = self._service.hub.origins
        request = Request(scope, receive)
        refusal = admit(request, self._service.hub, self._methods)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        headers = answer_headers(scope, origins)
        encoding = self._encoding(request)
        try:
            with self._placed(scope) as place:
                first = await self._first_frame(request, encoding)
                await send(_head(encoding, headers))
                if encoding.prelude:
                    await send({"type": "http.response.body", "body": encoding.prelude, "more_body": True})
                await self._serve(scope, receive, send, encoding, first, place)
        except Refusal as error:  # which comes before the head
            await error.response(headers)(scope, receive, send)

    @contextmanager
    def _placed(self, scope: Scope) -> Iterator[Place | None]:
        """A place for the client, given back at the end. Raises `Refusal` where there is none."""
        service = self._service
        if not service.hub.running:
            raise Refusal(503, "The hub is not running", {"retry-after": "1"})
        if service.crowded:
            service.hub.stats.refuse(RefusalReason.CAPACITY)
            raise Refusal(503, "Too many clients", {"retry-after": "1"})
        try:
            place = service.hub.parts.reception.place(scope)
        except Overloaded as error:
            raise Refusal(503, str(error), {"retry-after": "1"}) from None
        try:
            yield place
        finally:
            if place is not None:
                place.leave()

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        encoding: Encoding,
        first: Payload,
        place: Place | None,
    ) -> None:
        service, everywhere = self._service, self._everywhere
        parts = service.hub.parts
        farewell: Farewell = encoding.farewell
        cut = find_abort(scope)
        open = partial(StreamTransport, receive, send, encoding.stream, farewell, cut)
        connection = parts.reception.adopt(open, place)
        connection.address, connection.via = peer_host(scope), self._name
        transport = connection.transport
        assert isinstance(transport, StreamTransport)
        session = secrets.token_urlsafe(24)
        terms = self._terms()
        client = Client(service, parts, self._calls, connection, encoding.codec, scope, terms, session)
        transport.deliver(first)
        when_leaving(scope, partial(connection.end, *SHUTDOWN))
        await attend(client, service, everywhere, self._name, session)

    def _terms(self) -> Terms:
        """The terms with the node's id, which is another one whenever the hub starts."""
        node = self._everywhere.node
        if self._known_terms.node != node:
            self._known_terms = replace(self._service.terms, node=node)
        return self._known_terms

    def _encoding(self, request: Request) -> Encoding:
        if self._name == "sse":
            return EVENTS
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        return BYTES if kind == BINARY else LINES

    async def _first_frame(self, request: Request, encoding: Encoding) -> Payload:
        """The client's first frame, with the connect command. Raises `Refusal`."""
        if request.method == "GET":
            frame = request.query_params.get(FIRST_COMMAND, "").encode()
        else:
            limits = self._service.hub.limits
            frame = await read_body(request, limits.message_bytes, limits.first_message_timeout)
        if not frame:
            raise Refusal(400, "No connect command")
        return frame


def _head(encoding: Encoding, headers: dict[str, str]) -> dict[str, object]:
    """The response's head; every proxy is told to pass on at once what comes, and to keep nothing."""
    all_headers = {
        "content-type": encoding.content_type,
        "cache-control": "private, no-cache, no-store, must-revalidate, max-age=0",
        "x-accel-buffering": "no",
        "x-content-type-options": "nosniff",
        **headers,
    }
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in all_headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": pairs}
