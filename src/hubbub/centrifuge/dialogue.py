"""What a session and its driver owe each other: actions on their way out, calls that wait for their answer.

Commands are carried out one after the other in each lane: a channel is a lane, calls of methods are one, and
so is the refresh of the connection. So the publications of a client keep their order in a channel, and a slow
method keeps nobody else waiting.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from hubbub.centrifuge.actions import (
    Action,
    Answer,
    Call,
    Close,
    Failed,
    Send,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from hubbub.centrifuge.errors import ClientError, Disconnect, DisconnectCode, ErrorCode
from hubbub.centrifuge.results import DisconnectPush, Push, Reply

Handler: TypeAlias = Callable[[Answer, float], None]
"""What happens when a call is answered, at that time."""

Work: TypeAlias = Callable[[float], None]
"""A command that waits for its turn."""

MOST_WAITING: Final = 4_096
"""Commands that may wait for their turn, as all of one frame may; one more closes 3013."""


class Dialogue:
    """Collects actions, numbers calls, keeps lanes.

    Args:
        announce: a close is announced by a push, for a transport whose end carries no code.
    """

    __slots__ = ("_actions", "_announce", "_asked", "_calls", "_lanes", "_number", "closed", "waiting")

    def __init__(self, announce: bool) -> None:
        self._announce = announce
        self._actions: list[Action] | None = None  # None while there are none, as nearly always
        self._number = 0  # of the last call
        self._calls: dict[int, tuple[str, Call, Handler]] = {}
        self._asked: dict[str, int] = {}  # lane -> its calls that wait for their answer
        self._lanes: dict[str, deque[Work]] = {}  # lane -> what waits for its turn
        self.waiting = 0
        self.closed = False

    @property
    def open_calls(self) -> int:
        """Calls that wait for their answer."""
        return len(self._calls)

    def take(self) -> list[Action]:
        """The actions collected since the last time."""
        actions, self._actions = self._actions, None
        return [] if actions is None else actions

    # Out

    def act(self, action: Action) -> None:
        """Return this action. After a close nothing is."""
        if not self.closed:
            self._collect(action)

    def _collect(self, action: Action) -> None:
        if self._actions is None:
            self._actions = [action]
        else:
            self._actions.append(action)

    def reply(self, reply: Reply) -> None:
        """Answer a command."""
        self.act(Send(reply))

    def push(self, push: Push) -> None:
        """Tell the client something."""
        self.act(Send(Reply(push=push)))

    def refuse(self, command: int, reason: ClientError | Disconnect) -> None:
        """Answer a command with an error, or by the end of the connection."""
        if isinstance(reason, Disconnect):
            self.close(reason)
        else:
            self.reply(Reply(command, error=reason))

    def fail(self, command: int, answer: Answer) -> None:
        """Refuse a command whose call did not get the answer it takes."""
        self.refuse(command, answer.reason if isinstance(answer, Failed) else ErrorCode.INTERNAL.error)

    def finish(self, answer: Answer, wanted: type[Answer], reply: Reply) -> None:
        """Reply, if the call got the answer it takes; else the reply is an error."""
        if isinstance(answer, wanted):
            self.reply(reply)
        else:
            self.fail(reply.id, answer)

    def close(self, disconnect: Disconnect) -> None:
        """End the connection. Only what is subscribed to late is undone afterwards."""
        if self.closed:
            return
        if self._announce:
            self.push(
                Push(disconnect=DisconnectPush(disconnect.code, disconnect.reason, disconnect.reconnect))
            )
        self.act(Close(disconnect))
        self.end()

    def end(self) -> None:
        """Forget what waits."""
        self.closed = True
        self._lanes.clear()
        self._asked.clear()
        self.waiting = 0
        self._calls = {
            number: entry for number, entry in self._calls.items() if isinstance(entry[1], Subscribe)
        }

    # Calls

    def ask(self, lane: str, make: Callable[[int], Call], handler: Handler) -> None:
        """Have a call made; its lane waits for the answer."""
        if self.closed:
            return
        self._number += 1
        call = make(self._number)
        self._calls[self._number] = (lane, call, handler)
        self._asked[lane] = self._asked.get(lane, 0) + 1
        self.act(call)

    def answered(self, number: int, answer: Answer, now: float) -> None:
        """Go on after a call. A number that waits for no answer is ignored."""
        entry = self._calls.pop(number, None)
        if entry is None:
            return
        lane, call, handler = entry
        if self.closed:
            if isinstance(call, Subscribe) and isinstance(answer, Subscribed):
                self._collect(Unsubscribe(0, call.channel))
            return
        handler(answer, now)
        if self.closed:
            return
        self._asked[lane] -= 1
        self._go_on(lane, now)

    def queue(self, lane: str, work: Work, now: float) -> None:
        """Do the work, once nothing before it in its lane waits for an answer."""
        if self.closed:
            return
        if not self._asked.get(lane):
            work(now)
            return
        self.waiting += 1
        if self.waiting > MOST_WAITING:
            self.close(DisconnectCode.TOO_MANY_REQUESTS.disconnect)
        else:
            self._lanes.setdefault(lane, deque()).append(work)

    def _go_on(self, lane: str, now: float) -> None:
        waiting = self._lanes.get(lane)
        while waiting and not self._asked[lane]:
            self.waiting -= 1
            waiting.popleft()(now)
            if self.closed:
                return
        if not self._asked[lane]:
            del self._asked[lane]
            self._lanes.pop(lane, None)
