"""The opening handshake, from bytes to bytes (RFC 6455 section 4.2). No transport, no asyncio."""

import binascii
import hashlib
import re
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

import msgspec

MAX_LINE: Final = 8_192
"""Longest request line and longest header line, in bytes."""

MAX_HEADERS: Final = 128
"""Most header lines."""

MAX_HEAD: Final = 65_536
"""Largest request head, in bytes."""

Headers = Collection[tuple[bytes, bytes]]

_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 section 5.6.2
_HEADER_LINE: Final = re.compile(rb"^(" + _TOKEN + rb"):[ \t]*([^\x00\r\n]*)\r\n", re.MULTILINE)
_HEADER_NAME: Final = re.compile(_TOKEN)
_HEADER_VALUE: Final = re.compile(rb"[^\x00\r\n]*")
_USUAL_LINE: Final = re.compile(rb"GET (/[!->@-~]*)(?:\?([!-~]*))? HTTP/1\.1")
_TARGET: Final = re.compile(rb"[\x21-\x7e]+")
_AUTHORITY: Final = re.compile(rb"(?i:https?|wss?)://[^/?#]*")
_SHARED_NAMES: Final = {
    # As clients write them. One object for all connections: half a kilobyte less for each of them.
    written: name.lower()
    for name in (
        b"Host Connection Pragma Cache-Control User-Agent Upgrade Origin Cookie Authorization "
        b"Accept-Encoding Accept-Language Sec-WebSocket-Version Sec-WebSocket-Key Sec-WebSocket-Extensions "
        b"Sec-WebSocket-Protocol X-Forwarded-For X-Forwarded-Proto X-Real-IP"
    ).split()
    for written in (name, name.lower())
}
_UPGRADE: Final = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n")
_CONNECTION: Final = re.compile(rb"\r\nconnection:[^\r\n]*\bupgrade\b")


class HandshakeError(Exception):
    """The request is refused with this HTTP status. `str(error)` is safe to show to the client."""

    def __init__(self, status: int, reason: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


class UpgradeRequest(msgspec.Struct, frozen=True, gc=False):
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


def is_upgrade(data: bytes) -> bool:
    """Whether `data` is one whole request, with nothing after it, that asks for a WebSocket."""
    if not data.startswith(b"GET ") or data.find(b"\r\n\r\n") != len(data) - 4:
        return False
    lower = data.lower()
    return (b"\r\nupgrade: websocket\r\n" in lower or _UPGRADE.search(lower) is not None) and (
        b"\r\nconnection: upgrade\r\n" in lower or _CONNECTION.search(lower) is not None
    )


def parse_request(head: bytes) -> UpgradeRequest:
    """Read a request head that ends with an empty line.

    Raises:
        HandshakeError: if it is not a WebSocket handshake of version 13 within the limits of this module.
    """
    request_line, _, header_lines = head[:-2].partition(b"\r\n")
    path, query = _read_request_line(request_line)
    headers = _read_headers(header_lines)
    fields = dict(headers)
    if len(fields) != len(headers):
        fields = _join_repeated(headers)
    if not _has_token(fields, b"upgrade", b"websocket") or not _has_token(fields, b"connection", b"upgrade"):
        raise HandshakeError(400, "Not a WebSocket handshake")
    if b"," in fields.get(b"host", b""):
        raise HandshakeError(400, "More than one Host header")
    if fields.get(b"sec-websocket-version") != b"13":
        wanted = ((b"sec-websocket-version", b"13"), (b"upgrade", b"websocket"))
        raise HandshakeError(HTTPStatus.UPGRADE_REQUIRED, "WebSocket version 13 is required", wanted)
    key = fields.get(b"sec-websocket-key", b"")
    if not _is_key(key):
        raise HandshakeError(400, "Invalid Sec-WebSocket-Key header")
    subprotocols = fields.get(b"sec-websocket-protocol")
    extensions = fields.get(b"sec-websocket-extensions")
    return UpgradeRequest(
        path,
        query,
        headers,
        key,
        _read_subprotocols(subprotocols) if subprotocols else [],
        extensions.decode("latin-1") if extensions else "",
    )


def _read_request_line(line: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request line."""
    if len(line) > MAX_LINE:
        raise HandshakeError(HTTPStatus.REQUEST_URI_TOO_LONG, "Request line too long")
    if usual := _USUAL_LINE.fullmatch(line):
        path, query = usual.groups(b"")
        return path, query
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
    size, count = len(block), block.count(b"\r\n")
    if (
        size > MAX_HEAD
        or count > MAX_HEADERS
        or (size > MAX_LINE and len(max(block.split(b"\r\n"), key=len)) > MAX_LINE)
    ):
        raise HandshakeError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Headers too large")
    lines = _HEADER_LINE.findall(block)
    # A wrong line is not found; a lone LF would begin a line for the pattern; the last line must have an end.
    if len(lines) != count or block.count(b"\n") != count or block[-2:] not in (b"\r\n", b""):
        raise HandshakeError(400, "Invalid header")
    return [(_SHARED_NAMES.get(name) or name.lower(), value.rstrip(b" \t")) for name, value in lines]


def _join_repeated(headers: Headers) -> dict[bytes, bytes]:
    """Combine the values of equal names (RFC 9110 section 5.3)."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = fields[name] + b", " + value if name in fields else value
    return fields


def _has_token(fields: dict[bytes, bytes], name: bytes, token: bytes) -> bool:
    value = fields.get(name, b"").lower()
    return value == token or token in [one.strip() for one in value.split(b",")]


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


def accept_response(
    key: bytes, headers: Headers, subprotocol: str | None, extensions: str | None, ready: bytes = b""
) -> bytes:
    """Return the 101 response that opens the connection (RFC 6455 section 4.2.2).

    Args:
        key: the client's Sec-WebSocket-Key.
        headers: further headers.
        subprotocol: the agreed one.
        extensions: the agreed ones.
        ready: header lines made by `header_lines`, which come before the others.

    Raises:
        ValueError: if a header or the subprotocol has characters that HTTP does not allow.
    """
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    lines = [_SWITCHING, binascii.b2a_base64(digest, newline=False), b"\r\n", ready]
    if subprotocol:
        lines.append(header_lines(((b"sec-websocket-protocol", subprotocol.encode("latin-1")),)))
    if extensions:
        lines.append(header_lines(((b"sec-websocket-extensions", extensions.encode("latin-1")),)))
    if headers:
        lines.append(header_lines(headers))
    lines.append(b"\r\n")
    return b"".join(lines)


def header_lines(headers: Headers) -> bytes:
    """Return headers as lines of a response, with their names in lower case.

    Raises:
        ValueError: if one has characters that HTTP does not allow.
    """
    lines = []
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("Invalid HTTP header name.")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError("Invalid HTTP header value.")
        lines.append(b"%b: %b\r\n" % (name.lower(), value))
    return b"".join(lines)


def http_response(status: int, headers: Headers, body: bytes = b"") -> bytes:
    """Return a whole HTTP response that ends the connection.

    Content-Length, Content-Type and `Connection: close` are added where `headers` lacks them.

    Raises:
        ValueError: if a header has characters that HTTP does not allow.
    """
    given = header_lines(headers)
    names = {name.lower() for name, _ in headers}
    added = [
        (name, value)
        for name, value in (
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"connection", b"close"),
        )
        if name not in names
    ]
    status_line = b"HTTP/1.1 %d %s\r\n" % (status, _phrase(status))
    return b"".join((status_line, given, header_lines(added), b"\r\n", body))


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""
