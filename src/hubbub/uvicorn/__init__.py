"""A fast, bounded WebSocket side for uvicorn.

    uvicorn app:app --http hubbub.uvicorn:HttpProtocol --ws hubbub.uvicorn:WebSocketProtocol

`WebSocketProtocol` is built in layers, each in one file, each knowing only those before it: `writer` (bytes
out), `keepalive` (pings), `inbox` (events for the app), `closing` (every end), `application` (the ASGI side),
`protocol` (bytes in). `handshake` is pure; frames are in `hubbub.core`. `http` looks at the first bytes of a
connection: a WebSocket handshake goes straight to our class, the rest to uvicorn's HTTP (`http_responses`).
"""

from hubbub.uvicorn.endpoint import SocketLimits
from hubbub.uvicorn.http import HttpProtocol
from hubbub.uvicorn.protocol import DeflateWebSocketProtocol, WebSocketProtocol
from hubbub.uvicorn.writer import FrameWriter

__all__ = ["DeflateWebSocketProtocol", "FrameWriter", "HttpProtocol", "SocketLimits", "WebSocketProtocol"]
