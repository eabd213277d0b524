"""Looking after connections: the heartbeat, writes that are stuck, handlers that do not read."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from hubbub.connection import Connection
from hubbub.core.heartbeat import Heartbeat, Verdict
from hubbub.core.limits import Limits
from hubbub.core.rounds import Rounds
from hubbub.hub.clock import Clock

PING = '{"type":"ping"}'
LOOK_INTERVAL = 5.0

SHARED: Final = 0.1
"""Seconds that a look may be late, so that those that are due soon share a wake-up."""

_logger = logging.getLogger("hubbub")


class Watch:
    """One look after another at each connection, all behind the hub's one timer.

    Args:
        clock: the hub's.
        heartbeat: for the connections that take part in it.
        limits: for `send_timeout`.
        dead: called with a connection that did not answer.
        slow: called with a connection whose write is stuck.
    """

    __slots__ = ("_clock", "_dead", "_heartbeat", "_rounds", "_send_timeout", "_slow", "_waiting")

    def __init__(
        self,
        clock: Clock,
        heartbeat: Heartbeat,
        limits: Limits,
        dead: Callable[[Connection], None],
        slow: Callable[[Connection], None],
    ) -> None:
        self._clock = clock
        self._heartbeat = heartbeat
        self._dead = dead
        self._slow = slow
        self._send_timeout = limits.send_timeout
        self._rounds: Rounds[Connection] = Rounds(min(LOOK_INTERVAL, limits.send_timeout / 2))
        self._waiting = False  # for the next look

    def start(self, connection: Connection) -> None:
        """Look after the connection until it is closed."""
        self._rounds.add(connection, self._clock.now())
        connection.rounds = self._rounds
        if connection.pulse is not None:
            connection.beat = self._clock.after(self._heartbeat.interval, partial(self._beat, connection))
        if not self._waiting:
            self._wait()

    def _wait(self) -> None:
        """Until somebody is to be looked at."""
        due = self._rounds.next_due
        self._waiting = due is not None
        if due is not None:
            self._clock.at(max(due, self._clock.now() + SHARED), self._go_round)

    def _go_round(self) -> None:
        now = self._clock.now()
        for connection in self._rounds.take(now):
            try:
                self._look(connection, now)
            except Exception:  # the others have nothing to do with it
                _logger.exception("looking after %s", connection.id)
        self._wait()

    def _look(self, connection: Connection, now: float) -> None:
        transport = connection.transport
        if connection.closed:  # since before it was looked after
            self._rounds.discard(connection)
            return
        if transport.busy_since is not None and now - transport.busy_since >= self._send_timeout:
            self._slow(connection)
            return
        # A handler that only sends would never see a pong or a disconnect.
        transport.read_ahead()

    def _beat(self, connection: Connection) -> None:
        """Ask the client whether it is still there, or find that it is not."""
        now, pulse = self._clock.now(), connection.pulse
        self._look(connection, now)  # first: without a reader no pong is seen
        if connection.closed or pulse is None:
            return
        due = now + self._heartbeat.interval
        if not connection.transport.backlogged:
            verdict, due = pulse.check(now, self._heartbeat)
            if verdict is Verdict.DEAD:
                self._dead(connection)
                return
            if verdict is Verdict.ASK:
                connection.write([connection.codec.encode(PING)])
        connection.beat = self._clock.at(due, partial(self._beat, connection))
