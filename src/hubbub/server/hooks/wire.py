"""What a backend is asked, and what it may answer: JSON, with the names of Centrifugo's event proxies.

Unknown fields of answers are ignored, and null stands for a field that is not there.
"""

import base64
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from hubbub.centrifuge.json_text import bytes_as_json, embed_json
from hubbub.core.messages import Payload

R = TypeVar("R")

_NOTHING: Final = msgspec.Raw()


class Event(Enum):
    """What a backend is asked about; the names of the settings and of the metrics' labels."""

    CONNECT = "connect"
    REFRESH = "refresh"
    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    SUB_REFRESH = "sub_refresh"
    RPC = "rpc"


class Question(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request's body."""

    client: str
    """The id of the connection."""

    transport: str
    """``websocket``, ``sse`` or ``http_stream``."""

    protocol: str
    """``json`` or ``protobuf``."""

    encoding: str
    """``binary`` where the data is in `b64data`."""

    user: str | None = None
    """Empty for somebody anonymous; None, and not sent, while it is asked who it is."""

    channel: str = ""
    method: str = ""
    name: str = ""
    version: str = ""
    data: msgspec.Raw | None = None
    b64data: str = ""
    meta: msgspec.Raw | None = None
    """What the answer to the first question had in `meta`, or the client's token."""


def data_fields(payload: Payload | None, *, binary: bool) -> dict[str, Any]:
    """The fields of a question for what a client has sent. Bytes that are no JSON are always in base64."""
    if payload is None:
        return {"encoding": "binary"} if binary else {"encoding": "json"}
    if binary or (isinstance(payload, bytes) and bytes_as_json(payload) is None):
        raw = payload if isinstance(payload, bytes) else payload.encode()
        return {"encoding": "binary", "b64data": base64.b64encode(raw).decode()}
    return {"encoding": "json", "data": msgspec.Raw(embed_json(payload))}


class ErrorAnswer(msgspec.Struct, frozen=True):
    """No, and the client is told why."""

    code: Annotated[int, Meta(ge=1, lt=2**32)]
    """Of a backend's own: 400 to 1999."""

    message: str | None = None
    temporary: bool | None = None


class DisconnectAnswer(msgspec.Struct, frozen=True):
    """No, and the connection ends."""

    code: Annotated[int, Meta(ge=3_000, le=4_999)]
    """Of a backend's own: 4000 to 4499 for a client that may come back, up to 4999 for one that may not."""

    reason: str | None = None


class Answer(msgspec.Struct, Generic[R], frozen=True):
    """An answer's body."""

    result: R | None = None
    error: ErrorAnswer | None = None
    disconnect: DisconnectAnswer | None = None


Said: TypeAlias = Mapping[str, Any]
"""A result whose fields are those of a token's claims, and are read like them."""


class PublishResult(msgspec.Struct, frozen=True):
    """What is published in place of the data, and how."""

    data: msgspec.Raw = _NOTHING
    b64data: str | None = None
    skip_history: bool | None = None
    tags: dict[str, str] | None = None
    idempotency_key: str | None = None
    version: int | None = None


class RpcResult(msgspec.Struct, frozen=True):
    """What the method returned."""

    data: msgspec.Raw = _NOTHING
    b64data: str | None = None
