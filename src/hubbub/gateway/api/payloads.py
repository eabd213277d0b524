"""Data of requests: JSON of any shape, or bytes in base64."""

import base64

import msgspec

from hubbub.centrifuge.errors import ErrorCode
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.protobuf_codec import PROTOBUF_CODEC
from hubbub.core.messages import Payload
from hubbub.gateway.api.refusals import refuse


def read_payload(data: msgspec.Raw, encoded: str) -> Payload | None:
    """What was given; None for nothing. Bytes that are JSON are `Json`, as if they had been given so.

    Raises:
        CommandFailed: 107 for malformed base64.
        InvalidMessage: for JSON that is nested too deeply.
    """
    if encoded:
        try:
            return PROTOBUF_CODEC.extract(msgspec.Raw(base64.b64decode(encoded, validate=True)))
        except ValueError:
            refuse(ErrorCode.BAD_REQUEST)
    return JSON_CODEC.extract(data) if bytes(data) else None
