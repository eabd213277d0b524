"""The clients of a load: each is in one room, says what it is told to, and counts what it gets."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection

from hubbub.server.commands.load_figures import Tally

WARM_UP: Final = -1
"""The number of a message that only shows who has arrived in a room."""


class Marks:
    """What is in the messages of one load, so that they are known again in whatever the server makes of them.

    Args:
        run: sets this load apart from others.
        size: bytes of a message.
    """

    def __init__(self, run: str, size: int) -> None:
        self._run = run
        self._size = size
        self._pattern = re.compile(rf"hubbub-bench {run} (-?\d+) (\d+) ")

    def text(self, number: int, due: int) -> str:
        """The message of this number, due at that time (nanoseconds of `time.perf_counter_ns`)."""
        return f"hubbub-bench {self._run} {number} {due} ".ljust(self._size, ".")

    def found(self, frame: str) -> list[tuple[str, str]]:
        """Number and time of each message in a frame."""
        return self._pattern.findall(frame)


class Speech(Protocol):
    """How a client talks with its server."""

    async def enter(self, socket: ClientConnection) -> None:
        """Come into the room. Raises `SpeechError` if the server does not let it in."""

    def message(self, text: str) -> str:
        """What is sent to publish a text."""

    def answer(self, frame: str, found: int) -> str | None:
        """What has to be sent in answer to a frame that had so many messages in it.

        Raises:
            SpeechError: if it says that a message was refused.
        """


class SpeechError(Exception):
    """The server has refused something; the text is its own."""


class PlainSpeech:
    """Text goes to the room as it is."""

    async def enter(self, socket: ClientConnection) -> None:
        """The path was the room."""

    def message(self, text: str) -> str:
        """The text."""
        return text

    def answer(self, frame: str, found: int) -> str | None:
        """Nothing is answered."""
        return None


class CentrifugeSpeech:
    """Commands of the Centrifuge protocol, in JSON.

    Args:
        room: its name.
        connecting: the connect command's parameters.
        token: of the subscription; None where none is needed.
    """

    def __init__(self, room: str, connecting: dict[str, object], token: str | None) -> None:
        self._room = room
        self._connecting = connecting
        self._token = token
        self._last = 2

    async def enter(self, socket: ClientConnection) -> None:
        """Connect and subscribe. Raises `SpeechError` for an error or a disconnect."""
        subscribing: dict[str, object] = {"channel": self._room, "data": {"name": "bench"}}
        if self._token is not None:
            subscribing["token"] = self._token
        commands = ({"id": 1, "connect": self._connecting}, {"id": 2, "subscribe": subscribing})
        await socket.send("\n".join(map(json.dumps, commands)))
        async for frame in socket:
            for reply in _replies(frame if isinstance(frame, str) else frame.decode()):
                _check(reply)
                if "subscribe" in reply:
                    return

    def message(self, text: str) -> str:
        """A publish command."""
        self._last += 1
        return json.dumps({"id": self._last, "publish": {"channel": self._room, "data": {"text": text}}})

    def answer(self, frame: str, found: int) -> str | None:
        """A pong for a ping. Raises `SpeechError` for an error or a disconnect."""
        if frame == "{}":
            return "{}"
        if found == 0 or '"error"' in frame or "\n{}" in frame:
            replies = list(_replies(frame))
            for reply in replies:
                _check(reply)
            return None if all(replies) else "{}"
        return None


def _replies(frame: str) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, frame.splitlines())


def _check(reply: dict[str, Any]) -> None:
    if failure := reply.get("error"):
        raise SpeechError(f"{failure.get('message')} ({failure.get('code')})")
    if end := reply.get("push", {}).get("disconnect"):
        raise SpeechError(f"{end.get('reason')} ({end.get('code')})")


@dataclass(slots=True)
class LoadClient:
    """One client."""

    number: int
    room: int
    socket: ClientConnection
    speech: Speech
    arrived: bool = False
    """Whether it has got a message of its room, the warm-up's among them."""

    async def say(self, text: str) -> None:
        """Publish into its room."""
        await self.socket.send(self.speech.message(text))

    async def listen(self, marks: Marks, tally: Tally) -> None:
        """Count what comes until the connection ends."""
        async for frame in self.socket:
            text = frame if isinstance(frame, str) else frame.decode(errors="replace")
            now = time.perf_counter_ns()
            found = marks.found(text)
            for number, due in found:
                self.arrived = True
                if int(number) != WARM_UP:
                    tally.arrived(self.number, int(number), (now - int(due)) / 1_000)
            try:
                answer = self.speech.answer(text, len(found))
            except SpeechError as error:
                tally.refusals[str(error)] += 1
            else:
                if answer is not None:
                    await self.socket.send(answer)
