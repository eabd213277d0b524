"""Messages from a client in the form that a handler wants them, one by one or until the end.

A coroutine between a handler and the socket is made and woken for each message: there are as few as can be.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from hubbub.core.errors import Disconnected, WrongMessageType
from hubbub.core.messages import Payload, from_json


class Incoming(ABC):
    """What can be done with whoever has a `receive`."""

    __slots__ = ()

    @abstractmethod
    def receive(self) -> Coroutine[Any, Any, Payload]:
        """The next message: `str` for a text frame, `bytes` for a binary one.

        Raises:
            Disconnected: when the connection has ended.
        """
        raise NotImplementedError

    async def receive_text(self) -> str:
        """The next message, which must be text. Raises `Disconnected`, or `WrongMessageType` (1003)."""
        return _text(await self.receive())

    async def receive_bytes(self) -> bytes:
        """The next message, which must be binary. Raises `Disconnected`, or `WrongMessageType` (1003)."""
        return _binary(await self.receive())

    async def receive_json(self) -> Any:
        """The next message, decoded from JSON text.

        Raises:
            Disconnected: when the connection has ended.
            WrongMessageType: for a binary message (1003).
            InvalidMessage: if it is not JSON (1007).
        """
        return from_json(await self.receive())

    async def __aiter__(self) -> AsyncIterator[Payload]:
        """All messages until the connection ends."""
        try:
            while True:
                yield await self.receive()
        except Disconnected:
            return

    async def iter_text(self) -> AsyncIterator[str]:
        """Text messages until the connection ends. Raises `WrongMessageType` at a binary one."""
        try:
            while True:
                yield _text(await self.receive())
        except Disconnected:
            return

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Binary messages until the connection ends. Raises `WrongMessageType` at a text one."""
        try:
            while True:
                yield _binary(await self.receive())
        except Disconnected:
            return

    async def iter_json(self) -> AsyncIterator[Any]:
        """JSON messages until the connection ends. Raises like `receive_json`."""
        try:
            while True:
                yield from_json(await self.receive())
        except Disconnected:
            return

    async def wait_closed(self) -> None:
        """Wait for the end, for handlers that only send. What the client sends is thrown away."""
        async for _ in self:
            pass


def _text(payload: Payload) -> str:
    if isinstance(payload, bytes):
        raise WrongMessageType("Expected a text message")
    return payload


def _binary(payload: Payload) -> bytes:
    if isinstance(payload, str):
        raise WrongMessageType("Expected a binary message")
    return payload
