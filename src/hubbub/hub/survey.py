"""Asking all nodes something, and waiting for their answers."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Annotated, Final, TypeAlias

import msgspec

from hubbub.core import signal_codec
from hubbub.core.errors import BrokerError, LimitReached
from hubbub.core.signal_codec import Count, Id
from hubbub.hub.background import Background
from hubbub.hub.clock import Clock
from hubbub.hub.nodes import Nodes
from hubbub.hub.signals import Signals

TIMEOUT: Final = 1.0
"""Seconds that nodes have for their answers. What has not come by then is left out."""

MAX_PART_BYTES: Final = 524_288
"""Size past which a message gets no more items; the largest item."""

MAX_PARTS: Final = 64
"""Messages that one node's answer may take. Items beyond them are left out, and that is logged."""

MAX_OPEN: Final = 32
"""Surveys that one node makes at the same time, and answers that it gives at the same time."""

_COMMAND: Final = "survey"
_ROOM: Final = "#answers:"
_MAX_BYTES: Final = 2 * MAX_PART_BYTES + 4_096

_logger = logging.getLogger("hubbub")

Answerer: TypeAlias = Callable[[bytes], Iterable[bytes | None]]
"""Called with the question; returns the items of this node's answer. Does not wait. After each None in it the
others have their turn: one comes after each few hundred connections that are looked at."""


class _Question(msgspec.Struct, frozen=True, array_like=True):
    """A command to all nodes."""

    number: Count
    kind: Annotated[str, msgspec.Meta(max_length=64)]
    data: bytes


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    """One part of a node's answer."""

    node: Id
    number: Count
    part: Annotated[int, msgspec.Meta(ge=0, lt=MAX_PARTS)]
    last: bool
    items: list[bytes]


@dataclass(slots=True, eq=False)
class _Asked:
    """A survey that is under way."""

    missing: set[str]
    done: asyncio.Future[None]
    parts: dict[str, list[bytes]] = field(default_factory=dict)  # of nodes that have not said all
    whole: dict[str, list[bytes]] = field(default_factory=dict)

    def answered(self, node: str) -> None:
        self.missing.discard(node)
        if not self.missing and not self.done.done():
            self.done.set_result(None)


_questions = msgspec.msgpack.Decoder(_Question)
_answers = msgspec.msgpack.Decoder(_Answer)


class Survey:
    """Asks all nodes, this one too. What a node answers goes to the one that asks, and to no other.

    It watches `nodes`; one that leaves is waited for no longer.

    Args:
        nodes: who else there is.
        signals: carries the answers.
        clock: the hub's.
    """

    __slots__ = (
        "_answerers",
        "_answering",
        "_asked",
        "_background",
        "_begin_listening",
        "_clock",
        "_listening",
        "_nodes",
        "_numbers",
        "_signals",
    )

    def __init__(self, nodes: Nodes, signals: Signals, clock: Clock) -> None:
        self._nodes = nodes
        self._signals = signals
        self._clock = clock
        self._answerers: dict[str, Answerer] = {}
        self._answering = 0
        self._asked: dict[int, _Asked] = {}
        self._numbers = count(1)
        self._listening = False
        self._begin_listening = asyncio.Lock()  # one for all that ask at the same time
        self._background = Background("survey")
        nodes.watch(self)
        nodes.handle(_COMMAND, self._questioned)

    def answer(self, kind: str, answerer: Answerer) -> None:
        """Have questions of this kind answered; to one of another kind a node answers nothing."""
        self._answerers[kind] = answerer

    async def ask(self, kind: str, question: bytes = b"") -> dict[str, list[bytes]]:
        """Ask all nodes; returns the items that each of them answered, by the node's id.

        It takes as long as the slowest node, and at most `TIMEOUT`.

        Raises:
            LimitReached: if `MAX_OPEN` surveys are under way.
            BrokerError: if the nodes cannot be asked.
        """
        if len(self._asked) >= MAX_OPEN:
            raise LimitReached(f"No more than {MAX_OPEN} questions to all nodes at the same time")
        number = next(self._numbers)
        done = asyncio.get_running_loop().create_future()
        asked = self._asked[number] = _Asked({self._nodes.id, *self._nodes.others}, done)
        try:
            await self._listen()
            message = signal_codec.encode(_Question(number, kind, question))
            await self._nodes.command(_COMMAND, message)
            timer = self._clock.after(TIMEOUT, partial(_give_up, asked))
            try:
                await done
            finally:
                timer.cancel()
        finally:
            del self._asked[number]
        return asked.whole

    async def stop(self) -> None:
        """Answer no more."""
        await self._background.stop()
        if self._listening:
            self._signals.ignore(self._room)
            self._listening = False

    @property
    def _room(self) -> str:
        return _ROOM + self._nodes.id

    async def _listen(self) -> None:
        async with self._begin_listening:
            if not self._listening:
                await self._signals.listen(self._room, self._heard, self.commands_lost)
                self._listening = True

    # Answering

    def _questioned(self, node: str, data: bytes) -> None:
        question = signal_codec.decode(data, _questions, _MAX_BYTES)
        if question is None:
            return
        if self._answering >= MAX_OPEN:
            _logger.warning("a question of node %s is not answered: there are too many", node)
            return
        self._answering += 1
        self._background.run(self._reply(node, question))

    async def _reply(self, node: str, question: _Question) -> None:
        try:
            items: list[bytes] = []
            answerer = self._answerers.get(question.kind)
            for item in answerer(question.data) if answerer is not None else ():
                if item is None:
                    await asyncio.sleep(0)
                else:
                    items.append(item)
            parts = list(_pages(items))
            if len(parts) > MAX_PARTS:
                _logger.error("the answer to %r is cut: it is too long", question.kind)
                del parts[MAX_PARTS:]
            for number, items in enumerate(parts):
                last = number == len(parts) - 1
                answer = _Answer(self._nodes.id, question.number, number, last, items)
                await self._signals.send(_ROOM + node, signal_codec.encode(answer))
        except BrokerError as error:
            _logger.warning("a question of node %s is not answered: %s", node, error)
        finally:
            self._answering -= 1

    # Hearing

    def _heard(self, data: bytes) -> None:
        answer = signal_codec.decode(data, _answers, _MAX_BYTES)
        asked = self._asked.get(answer.number) if answer is not None else None
        if answer is None or asked is None or answer.node not in asked.missing:
            return
        parts = asked.parts.setdefault(answer.node, [])
        if not answer.part:
            parts.clear()
        parts += answer.items
        if answer.last:
            asked.whole[answer.node] = asked.parts.pop(answer.node)
            asked.answered(answer.node)

    # What the nodes tell

    def node_came(self, node: str) -> None:
        """It is asked next time."""

    def node_left(self, node: str) -> None:
        """It answers no more."""
        for asked in self._asked.values():
            asked.answered(node)

    def commands_lost(self) -> None:
        """A question or an answer may be among them: the time limit sees to that."""


def _pages(items: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Items in the portions that fit a message; one empty portion for none."""
    page: list[bytes] = []
    size = 0
    for item in items:
        if page and size + len(item) > MAX_PART_BYTES:
            yield page
            page, size = [], 0
        page.append(item)
        size += len(item) + 5  # its length in MessagePack
    yield page


def _give_up(asked: _Asked) -> None:
    if not asked.done.done():
        asked.done.set_result(None)
