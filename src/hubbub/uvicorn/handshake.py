"""The opening handshake, from bytes to bytes (RFC 6455 section 4.2). No transport, no asyncio."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

MAX_LINE: Final = 8_192
"""Longest request line and longest header line, in bytes."""

MAX_HEADERS: Final = 128
"""Most header lines."""

MAX_HEAD: Final = 65_536
"""Largest request head, in bytes."""

Headers = Iterable[tuple[bytes, bytes]]

_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 section 5.6.2
_HEADER_LINES: Final = re.compile(rb"(?:" + _TOKEN + rb":[^\x00\r\n]*\r\n)*")
_HEADER_NAME: Final = re.compile(_TOKEN)
_HEADER_VALUE: Final = re.compile(rb"[^\x00\r\n]*")
_TARGET: Final = re.compile(rb"[\x21-\x7e]+")
_AUTHORITY: Final = re.compile(rb"(?i:https?|wss?)://[^/?#]*")
_SHARED_NAMES: Final = {
    # One object for all connections: half a kilobyte less for each of them.
    name: name
    for name in (
        b"host connection pragma cache-control user-agent upgrade origin cookie authorization "
        b"accept-encoding accept-language sec-websocket-version sec-websocket-key sec-websocket-extensions "
        b"sec-websocket-protocol x-forwarded-for x-forwarded-proto x-real-ip"
    ).split()
}


class HandshakeError(Exception):
    """The request is refused with this HTTP status. `str(error)` is safe to show to the client."""

    def __init__(self, status: int, reason: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """A correct request for a WebSocket."""

    path: bytes
    """The path as sent, percent-encoded."""

    query: bytes
    headers: list[tuple[bytes, bytes]]
    """All headers in order, names in lower case."""

    key: bytes
    """The value of Sec-WebSocket-Key."""

    subprotocols: list[str]
    """What the client speaks, in its order of preference."""

    extensions: str
    """The value of Sec-WebSocket-Extensions, or an empty string."""


def parse_request(head: bytes) -> UpgradeRequest:
    """Read a request head that ends with an empty line.

    Raises:
        HandshakeError: if it is not a WebSocket handshake of version 13 within the limits of this module.
    """
    request_line, _, header_lines = head[:-2].partition(b"\r\n")
    path, query = _read_request_line(request_line)
    headers = _read_headers(header_lines)
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = fields[name] + b", " + value if name in fields else value
    if b"websocket" not in _tokens(fields, b"upgrade") or b"upgrade" not in _tokens(fields, b"connection"):
        raise HandshakeError(400, "Not a WebSocket handshake")
    if b"," in fields.get(b"host", b""):
        raise HandshakeError(400, "More than one Host header")
    if fields.get(b"sec-websocket-version") != b"13":
        wanted = ((b"sec-websocket-version", b"13"), (b"upgrade", b"websocket"))
        raise HandshakeError(HTTPStatus.UPGRADE_REQUIRED, "WebSocket version 13 is required", wanted)
    key = fields.get(b"sec-websocket-key", b"")
    if not _is_key(key):
        raise HandshakeError(400, "Invalid Sec-WebSocket-Key header")
    return UpgradeRequest(
        path,
        query,
        headers,
        key,
        _read_subprotocols(fields.get(b"sec-websocket-protocol", b"")),
        fields.get(b"sec-websocket-extensions", b"").decode("latin-1"),
    )


def _read_request_line(line: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request line."""
    if len(line) > MAX_LINE:
        raise HandshakeError(HTTPStatus.REQUEST_URI_TOO_LONG, "Request line too long")
    parts = line.split(b" ")
    if len(parts) != 3 or parts[0] != b"GET" or parts[2] != b"HTTP/1.1":
        raise HandshakeError(400, "A WebSocket handshake is a GET request of HTTP/1.1")
    target = parts[1]
    if not _TARGET.fullmatch(target):
        raise HandshakeError(400, "Invalid request target")
    if authority := _AUTHORITY.match(target):  # RFC 9112 section 3.2.2: the absolute form is allowed
        target = target[authority.end() :]
        target = target if target.startswith(b"/") else b"/" + target
    if not target.startswith(b"/"):
        raise HandshakeError(400, "Invalid request target")
    path, _, query = target.partition(b"?")
    return path, query


def _read_headers(block: bytes) -> list[tuple[bytes, bytes]]:
    lines = block.split(b"\r\n")
    if len(lines) - 1 > MAX_HEADERS or len(max(lines, key=len)) > MAX_LINE or len(block) > MAX_HEAD:
        raise HandshakeError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Headers too large")
    if not _HEADER_LINES.fullmatch(block):
        raise HandshakeError(400, "Invalid header")
    headers = []
    for line in lines[:-1]:
        name, _, value = line.partition(b":")
        headers.append((_SHARED_NAMES.get(name) or name.lower(), value.strip(b" \t")))
    return headers


def _tokens(fields: dict[bytes, bytes], name: bytes) -> list[bytes]:
    return [token.strip() for token in fields.get(name, b"").lower().split(b",")]


def _is_key(key: bytes) -> bool:
    try:
        return len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except ValueError:
        return False


def _read_subprotocols(value: bytes) -> list[str]:
    names = [name for item in value.split(b",") if (name := item.strip(b" \t"))]
    if not all(_HEADER_NAME.fullmatch(name) for name in names):
        raise HandshakeError(400, "Invalid Sec-WebSocket-Protocol header")
    return [name.decode("ascii") for name in names]


def accept_response(key: bytes, headers: Headers, subprotocol: str | None, extensions: str | None) -> bytes:
    """Return the 101 response that opens the connection (RFC 6455 section 4.2.2).

    Raises:
        ValueError: if a header or the subprotocol has characters that HTTP does not allow.
    """
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    lines = [_SWITCHING, accept, b"\r\n"]
    if subprotocol:
        _add_header(lines, b"sec-websocket-protocol", subprotocol.encode("latin-1"))
    if extensions:
        _add_header(lines, b"sec-websocket-extensions", extensions.encode("latin-1"))
    for name, value in headers:
        _add_header(lines, name.lower(), value)
    lines.append(b"\r\n")
    return b"".join(lines)


def http_response(status: int, headers: Headers, body: bytes = b"") -> bytes:
    """Return a whole HTTP response that ends the connection.

    Content-Length, Content-Type and `Connection: close` are added where `headers` lacks them.

    Raises:
        ValueError: if a header has characters that HTTP does not allow.
    """
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, _phrase(status))]
    names = set()
    for name, value in headers:
        names.add(name.lower())
        _add_header(lines, name.lower(), value)
    for name, value in (
        (b"content-length", b"%d" % len(body)),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"connection", b"close"),
    ):
        if name not in names:
            _add_header(lines, name, value)
    lines += (b"\r\n", body)
    return b"".join(lines)


def _add_header(lines: list[bytes], name: bytes, value: bytes) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("Invalid HTTP header name.")
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError("Invalid HTTP header value.")
    lines += (name, b": ", value, b"\r\n")


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""
