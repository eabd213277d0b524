"""What clients say by other requests, on its way to the node that has the client."""

import logging
from typing import Final

import msgspec

from hubbub.asgi.stream_transport import StreamTransport
from hubbub.centrifuge.errors import DisconnectCode
from hubbub.core import signal_codec
from hubbub.core.errors import LimitReached
from hubbub.core.messages import Payload
from hubbub.core.nodes import MAX_COMMAND_BYTES
from hubbub.gateway.clients import Clients
from hubbub.hub.nodes import Nodes
from hubbub.hub.signals import Signals

MAX_ON_THE_WAY: Final = 256
"""Frames that one node is passing on to others at the same time; more are refused."""

_ROOM: Final = "#emulation:"
"""Each node listens to a room of its own: no other gets what is not for it."""

_logger = logging.getLogger("hubbub")


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    session: str
    data: bytes
    text: bool


_decoder: Final = msgspec.msgpack.Decoder(_Frame)


class Relay:
    """Passes frames on to the node that has the client.

    Args:
        nodes: which there are.
        signals: carries frames.
        clients: of this node.
    """

    __slots__ = ("_clients", "_nodes", "_on_the_way", "_signals")

    def __init__(self, nodes: Nodes, signals: Signals, clients: Clients) -> None:
        self._nodes = nodes
        self._signals = signals
        self._clients = clients
        self._on_the_way = 0

    async def start(self) -> None:
        """Begin to take what other nodes pass on. Raises `BrokerError`."""
        await self._signals.listen(_ROOM + self._nodes.id, self._heard, self._lost)

    def stop(self) -> None:
        """Take no more."""
        self._signals.ignore(_ROOM + self._nodes.id)

    def knows(self, node: str, session: str) -> bool:
        """Whether that is a client of this node, or may be one of another."""
        if node == self._nodes.id:
            return self._clients.of_session(session) is not None
        return node in self._nodes.others

    async def pass_on(self, node: str, session: str, frame: Payload) -> bool:
        """Give a frame to the client of a session; False if the node is not known.

        A session that the node does not know is no error: the client may just have gone.

        Raises:
            LimitReached: if too many frames are on their way.
            BrokerError: if the node could not be reached.
        """
        if node == self._nodes.id:
            self._give(session, frame)
            return True
        if node not in self._nodes.others:
            return False
        if self._on_the_way >= MAX_ON_THE_WAY:
            raise LimitReached("Too many messages are on their way to other nodes")
        text = isinstance(frame, str)
        data = frame.encode() if isinstance(frame, str) else frame
        self._on_the_way += 1
        try:
            await self._signals.send(_ROOM + node, signal_codec.encode(_Frame(session, data, text)))
        finally:
            self._on_the_way -= 1
        return True

    def _give(self, session: str, frame: Payload) -> None:
        client = self._clients.of_session(session)
        transport = client.connection.transport if client is not None else None
        if client is None or not isinstance(transport, StreamTransport):
            return
        if not transport.deliver(frame) and not transport.closed:
            client.disconnect(DisconnectCode.TOO_MANY_REQUESTS.disconnect)

    def _heard(self, data: bytes) -> None:
        frame = signal_codec.decode(data, _decoder, MAX_COMMAND_BYTES)
        if frame is not None:
            self._give(frame.session, frame.data.decode() if frame.text else frame.data)

    def _lost(self) -> None:
        """Clients find out by themselves: their commands are not answered in time."""
        _logger.warning("messages that other nodes passed on were lost")
