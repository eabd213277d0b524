"""``/emulation``: commands of clients whose connection is a response, on whatever node that is."""

import logging
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hubbub.asgi.events import Receive, Scope, Send
from hubbub.centrifuge.protobuf_wire import Field, Kind, Tables, decode
from hubbub.centrifuge.requests import NOTHING
from hubbub.core.errors import BrokerError, HubNotRunning, InvalidMessage, LimitReached, Overloaded
from hubbub.core.messages import Payload
from hubbub.gateway.cross_origin import answer_headers
from hubbub.gateway.everywhere import Everywhere
from hubbub.gateway.http_requests import Refusal, admit, read_body
from hubbub.gateway.streams import BINARY
from hubbub.hub import Hub

METHODS: Final = "POST, OPTIONS"

ENVELOPE_BYTES: Final = 4_096
"""What a request may have around the client's frame."""

_logger = logging.getLogger("hubbub")


class EmulationRequest(msgspec.Struct, frozen=True):
    """A frame of a client's, with the secret and the node that it was told when it connected."""

    session: str = ""
    node: str = ""
    data: msgspec.Raw = NOTHING
    """In JSON a string with the frame, in protobuf its bytes."""


_TABLES: Final[Tables] = {
    EmulationRequest: {
        1: Field("node", Kind.STRING),
        2: Field("session", Kind.STRING),
        3: Field("data", Kind.BYTES),
    }
}
_decoder: Final = msgspec.json.Decoder(EmulationRequest)
_texts: Final = msgspec.json.Decoder(str)


class EmulationEndpoint:
    """The ASGI app of the route. It answers 204, or 404 where the node is not known.

    Commands are limited with their client. A request that is for none counts as a handshake of its address.

    Args:
        hub: whose limits and origins apply.
        everywhere: passes on.
    """

    __slots__ = ("_everywhere", "_hub")

    def __init__(self, hub: Hub, everywhere: Everywhere) -> None:
        self._hub = hub
        self._everywhere = everywhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        answer = admit(request, self._hub, METHODS)
        if answer is None:
            headers = answer_headers(scope, self._hub.origins)
            try:
                await self._pass_on(request)
            except Refusal as refusal:
                answer = refusal.response(headers)
            else:
                answer = Response(status_code=204, headers=headers)
        await answer(scope, receive, send)

    async def _pass_on(self, request: Request) -> None:
        # In a JSON string, every quotation mark of the frame takes two characters.
        limits = self._hub.limits
        most = 2 * limits.message_bytes + ENVELOPE_BYTES
        body = await read_body(request, most, limits.first_message_timeout)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            said, frame = _read(body, binary=kind == BINARY)
            if not frame:
                raise InvalidMessage("There is no data")
        except (msgspec.DecodeError, InvalidMessage, UnicodeDecodeError):
            self._count(request.scope)
            raise Refusal(400, "Malformed") from None
        if not self._everywhere.relay.knows(said.node, said.session):
            self._count(request.scope)
        try:
            known = await self._everywhere.relay.pass_on(said.node, said.session, frame)
        except (BrokerError, LimitReached, HubNotRunning) as error:
            _logger.warning("a message was not passed on: %s", error)
            raise Refusal(503, "Try again later", {"retry-after": "1"}) from None
        if not known:
            raise Refusal(404, "Unknown node")

    def _count(self, scope: Scope) -> None:
        """Whoever asks is no client that we know: who does that in a loop is not answered for long."""
        try:
            self._hub.parts.reception.stranger(scope)
        except Overloaded as error:
            raise Refusal(503, str(error), {"retry-after": "1"}) from None


def _read(body: bytes, *, binary: bool) -> tuple[EmulationRequest, Payload]:
    if binary:
        said: EmulationRequest = decode(_TABLES, EmulationRequest, body)
        return said, bytes(said.data)
    said = _decoder.decode(body)
    return said, _texts.decode(said.data)
