"""Looking after connections: the heartbeat, writes that are stuck, handlers that do not read."""

from collections.abc import Callable
from functools import partial

from hubbub.connection import Connection
from hubbub.core.heartbeat import Heartbeat, Verdict
from hubbub.core.limits import Limits
from hubbub.hub.clock import Clock

PING = '{"type":"ping"}'
LOOK_INTERVAL = 5.0


class Watch:
    """One look after another at each connection, all behind the hub's one timer.

    Args:
        clock: the hub's.
        heartbeat: for the connections that take part in it.
        limits: for `send_timeout`.
        dead: called with a connection that did not answer.
        slow: called with a connection whose write is stuck.
    """

    __slots__ = ("_clock", "_dead", "_heartbeat", "_interval", "_ping", "_send_timeout", "_slow")

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
        self._interval = min(LOOK_INTERVAL, limits.send_timeout / 2)

    def start(self, connection: Connection) -> None:
        """Look after the connection until it is closed."""
        due = self._interval
        if connection.heartbeat:
            due = min(due, self._heartbeat.interval)
        connection.look = self._clock.after(due, partial(self._look, connection))

    def _look(self, connection: Connection) -> None:
        if connection.closed:
            return
        now = self._clock.now()
        transport = connection.transport
        if transport.busy_since is not None and now - transport.busy_since >= self._send_timeout:
            self._slow(connection)
            return
        # A handler that only sends would never see a pong or a disconnect.
        transport.read_ahead()
        due = now + self._interval
        if connection.heartbeat and not transport.backlogged:
            verdict, again = connection.pulse.check(now, self._heartbeat)
            if verdict is Verdict.DEAD:
                self._dead(connection)
                return
            if verdict is Verdict.ASK:
                connection.write([connection.codec.encode(PING)])
            due = min(due, again)
        connection.look = self._clock.at(due, partial(self._look, connection))
