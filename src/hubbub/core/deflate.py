"""permessage-deflate (RFC 7692) without context takeover: every message stands alone.

So no connection keeps a compressor, and a message compressed once fits every connection that agreed to at
least `SHARED_WINDOW_BITS`.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hubbub.core.errors import CloseCode
from hubbub.core.frames import FrameError, encode_frame

SHARED_WINDOW_BITS: Final = 12
"""The window of messages compressed for many: 4 KiB, of which a compressor is cheap to make."""

MIN_COMPRESSED_SIZE: Final = 64
"""Smaller messages go out as they are: deflate would hardly shrink them."""

_TAIL: Final = b"\x00\x00\xff\xff"  # ends every flushed block and is not sent (RFC 7692 section 7.2.1)
_PARAMETERS: Final = frozenset(
    (
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
    )
)


@dataclass(frozen=True, slots=True)
class DeflateTerms:
    """What was agreed with one client."""

    window_bits: int
    """Largest window the client will keep for what we send: 9 to `SHARED_WINDOW_BITS`."""

    response: str
    """The value of the response's Sec-WebSocket-Extensions header."""

    @property
    def shared(self) -> bool:
        """Whether messages compressed for many may be sent to this client."""
        return self.window_bits >= SHARED_WINDOW_BITS


def accept_offer(headers: Iterable[str]) -> DeflateTerms | None:
    """Pick the first acceptable permessage-deflate offer (RFC 7692 section 7.1).

    Takes the values of Sec-WebSocket-Extensions. Returns None when no offer will do: the connection then goes
    on uncompressed.
    """
    for header in headers:
        for offer in header.split(","):
            name, *parameters = (part.strip() for part in offer.split(";"))
            if name.lower() == "permessage-deflate" and (terms := _agree(parameters)) is not None:
                return terms
    return None


def _agree(parameters: list[str]) -> DeflateTerms | None:
    seen: dict[str, str] = {}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        name, value = name.strip(), value.strip().strip('"')
        if name not in _PARAMETERS or name in seen or (value and name.endswith("takeover")):
            return None
        seen[name] = value
    client_bits = seen.get("client_max_window_bits", "")
    if client_bits and _window_bits(client_bits) is None:
        return None
    response = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    if "server_max_window_bits" not in seen:
        return DeflateTerms(SHARED_WINDOW_BITS, response)
    asked = _window_bits(seen["server_max_window_bits"])
    if asked is None or asked < 9:  # zlib cannot make raw deflate with a window of 256 bytes
        return None
    bits = min(asked, SHARED_WINDOW_BITS)
    return DeflateTerms(bits, f"{response}; server_max_window_bits={bits}")


def _window_bits(value: str) -> int | None:
    if not value.isascii() or not value.isdigit() or value.startswith("0"):
        return None
    return int(value) if len(value) <= 2 and 8 <= int(value) <= 15 else None


def compress_message(payload: bytes, window_bits: int = SHARED_WINDOW_BITS) -> bytes:
    """Compress one message for a frame with RSV1 set (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(wbits=-window_bits, memLevel=5)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(_TAIL)


def encode_compressed_frame(opcode: int, payload: bytes, window_bits: int = SHARED_WINDOW_BITS) -> bytes:
    """Return one frame with the message compressed, or as it is when that is not longer.

    With the default window the frame can go to every client whose `DeflateTerms.shared` is true.
    """
    if len(payload) >= MIN_COMPRESSED_SIZE:
        compressed = compress_message(payload, window_bits)
        if len(compressed) < len(payload):
            return encode_frame(opcode, compressed, compressed=True)
    return encode_frame(opcode, payload)


def inflate_message(payload: bytes, max_size: int) -> bytes:
    """Expand one compressed message, never further than one byte over `max_size` (RFC 7692 section 7.2.2).

    Raises:
        FrameError: 1009 when the message is larger than `max_size` bytes, 1002 when it is not deflate data.
    """
    inflater = zlib.decompressobj(wbits=-15)
    try:
        data = inflater.decompress(payload + _TAIL, max_size + 1)
    except zlib.error:
        raise FrameError(CloseCode.PROTOCOL_ERROR, "broken compressed message") from None
    if len(data) > max_size:
        raise FrameError(CloseCode.MESSAGE_TOO_BIG, f"over {max_size} bytes")
    return data
