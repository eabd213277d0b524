"""The session of one client: a state machine without I/O, for any transport and either encoding.

How a transport drives it:

1. It makes a `Session` when the client has come, and from then on carries out, in their order, the actions
   that every method returns: `Send` is encoded with the codec and written, `GoLive` puts the client among the
   channel's members, a `Call` is carried out, `Close` ends the connection, which leaves all its channels.
2. What the client sends goes through `Codec.decode_commands` to `receive`; if that raises `InvalidMessage`,
   `bad_request` is called instead. Frames larger than `frame_limit` are not read. While the session is
   `busy`, nothing more is read.
3. The outcome of a call goes to `answer`, with the call's number. A call may be answered at once.
4. Whenever a method has returned, `due` says when `advance` has to be called next.
5. When the client has gone by itself, `lost` is called. Calls are answered even then: what was subscribed to
   in the meantime is left again.

Publications do not pass through here. The hub writes them, encoded once for all, to the members that are
live; the session only decides when that is. It is told with `insufficient` if some were lost. `now` is the
time in seconds, of any clock that does not go back.

What a client sees is as with the reference server, but that a command ``ping`` is answered, that commands are
in order only within a channel, and that a request without an `id` is refused and never taken for a pong.
"""

from collections.abc import Iterable
from typing import Final

from hubbub.centrifuge.actions import Action, Answer
from hubbub.centrifuge.channel_commands import ChannelCommands
from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.connecting import CONNECTED, CONNECTING, NEW, REFUSED, Connecting
from hubbub.centrifuge.dialogue import MOST_WAITING, Dialogue
from hubbub.centrifuge.errors import Disconnect, DisconnectCode, ErrorCode, UnsubscribeCode
from hubbub.centrifuge.methods import METHODS, Methods
from hubbub.centrifuge.pulse import earlier
from hubbub.centrifuge.requests import (
    ChannelRequest,
    Command,
    ConnectRequest,
    PingRequest,
    RefreshRequest,
    Request,
    RpcRequest,
    SendRequest,
)
from hubbub.centrifuge.results import (
    ClientInfo,
    JoinPush,
    LeavePush,
    MessagePush,
    PingResult,
    Push,
    Reply,
)
from hubbub.centrifuge.subscribing import Subscribing
from hubbub.centrifuge.terms import Terms
from hubbub.core.messages import Payload
from hubbub.core.positions import Position

POSITION_BYTES: Final = 128
"""What one position takes in a connect command, beside the channel's name."""


class Session:
    """One client, from its first command to its end. Every method returns what is to be done, in order.

    Args:
        client: its id, unique and not to be guessed.
        codec: its encoding.
        terms: what the server offers.
        now: the time, in seconds.
        spread: 0 to 1, at random: when the first ping comes.
        session: a secret, for transports whose commands come by another request.
    """

    __slots__ = ("_channels", "_connecting", "_dialogue", "_held", "_subscribing", "_terms")

    def __init__(
        self, client: str, codec: Codec, terms: Terms, now: float, *, spread: float = 0.5, session: str = ""
    ) -> None:
        dialogue = self._dialogue = Dialogue(terms.announce_close)
        self._terms = terms
        self._subscribing = Subscribing(dialogue, codec, terms.limits.rooms_per_connection)
        self._channels = ChannelCommands(dialogue, codec, terms, self._subscribing)
        self._connecting = Connecting(
            dialogue, codec, terms, self._subscribing, client=client, session=session, spread=spread, now=now
        )
        self._held: list[Command] | None = None  # what came while it is found out who the client is

    # What a driver looks at

    @property
    def connected(self) -> bool:
        """The client is authenticated and has its reply."""
        return self._connecting.state is CONNECTED and not self._dialogue.closed

    @property
    def closed(self) -> bool:
        """It has ended: nothing will be returned but to undo what was asked for before."""
        return self._dialogue.closed

    @property
    def busy(self) -> bool:
        """So many commands are open that no more should be read."""
        waiting = self._dialogue.open_calls + self._dialogue.waiting + len(self._held or ())
        return waiting >= self._terms.limits.inbox_messages

    @property
    def frame_limit(self) -> int:
        """Bytes of the largest frame to read now; more closes 1009.

        Before it is connected that is a token, and a position in as many channels as it may have.
        """
        limits = self._terms.limits
        if self.connected:
            return limits.message_bytes
        positions = limits.rooms_per_connection * (limits.room_name_bytes + POSITION_BYTES)
        return min(limits.first_message_bytes + positions, limits.message_bytes)

    @property
    def due(self) -> float | None:
        """When to call `advance`; None for never."""
        if self._dialogue.closed:
            return None
        return earlier(self._connecting.due, self._subscribing.subscriptions.due)

    def obstacle(self, channel: str) -> ErrorCode | None:
        """Why `subscribe` would not begin a subscription now; None if it would."""
        return self._subscribing.subscriptions.obstacle(channel)

    # What comes from the client

    def receive(self, commands: Iterable[Command], now: float) -> list[Action]:
        """Take commands, in their order. After the end they are ignored."""
        for command in commands:
            if self._dialogue.closed:
                break
            self._receive(command, now)
        return self._dialogue.take()

    def refuse(self, commands: Iterable[Command], reason: ErrorCode) -> list[Action]:
        """Answer commands with an error and do nothing else about them."""
        for command in commands:
            if command.id:
                self._dialogue.reply(Reply(command.id, error=reason.error))
        return self._dialogue.take()

    def bad_request(self) -> list[Action]:
        """The client sent something that is no frame of commands (3501)."""
        return self.disconnect(DisconnectCode.BAD_REQUEST.disconnect)

    def lost(self) -> list[Action]:
        """The client has gone."""
        self._dialogue.end()
        return self._dialogue.take()

    # What comes from the hub

    def answer(self, call: int, answer: Answer, now: float) -> list[Action]:
        """Take the outcome of a call. A number that was answered already is ignored."""
        connecting = self._connecting.state is CONNECTING
        self._dialogue.answered(call, answer, now)
        if connecting and self._connecting.state is CONNECTED:
            held, self._held = self._held, None
            for command in held or ():
                if not self._dialogue.closed:
                    self._receive(command, now)
        elif self._connecting.state is REFUSED:
            self._held = None  # they came before the client could know
        return self._dialogue.take()

    def insufficient(self, channel: str, now: float) -> list[Action]:
        """Publications of a channel were lost: the client is told to come back for them (2500, or 3010)."""
        self._subscribing.insufficient(channel, now)
        return self._dialogue.take()

    def joined(self, channel: str, info: ClientInfo) -> list[Action]:
        """Somebody came into a channel. A room with many members has the push encoded once instead."""
        return self._about(channel, Push(channel, join=JoinPush(info)))

    def left(self, channel: str, info: ClientInfo) -> list[Action]:
        """Somebody left a channel."""
        return self._about(channel, Push(channel, leave=LeavePush(info)))

    # What the server wants

    def subscribe(self, channel: str, now: float, *, position: Position | None = None) -> list[Action]:
        """Subscribe the client; `position` is where it stands, for what came after."""
        if self.connected:
            self._subscribing.subscribe_by_server(channel, position, now)
        return self._dialogue.take()

    def unsubscribe(
        self, channel: str, now: float, code: UnsubscribeCode = UnsubscribeCode.SERVER
    ) -> list[Action]:
        """End a subscription; nothing happens if there is none."""
        self._subscribing.unsubscribe(channel, code, now)
        return self._dialogue.take()

    def send(self, data: Payload) -> list[Action]:
        """A message to this client alone; nothing happens before it is connected."""
        if self.connected:
            self._dialogue.push(Push(message=MessagePush(self._connecting.codec.embed(data))))
        return self._dialogue.take()

    def refresh(self, ttl: float | None, now: float) -> list[Action]:
        """The connection is good for so many seconds more (None for ever, 0 for no longer)."""
        if self.connected:
            self._connecting.refresh_by_server(ttl, now)
        return self._dialogue.take()

    def disconnect(self, disconnect: Disconnect) -> list[Action]:
        """End the connection."""
        self._dialogue.close(disconnect)
        return self._dialogue.take()

    def advance(self, now: float) -> list[Action]:
        """Do what is due: the heartbeat, and the ends of what has expired."""
        if not self._dialogue.closed:
            self._connecting.advance(now, deaf=self.busy)
            self._subscribing.expire(now)
        return self._dialogue.take()

    # Commands

    def _receive(self, command: Command, now: float) -> None:
        request, state = command.request, self._connecting.state
        if isinstance(request, ConnectRequest) and state is NEW and command.id:
            self._connecting.connect(command.id, request)
        elif isinstance(request, ConnectRequest) or state in (NEW, REFUSED):
            self._dialogue.close(DisconnectCode.BAD_REQUEST.disconnect)
        elif state is CONNECTING:
            self._held = self._held or []
            if len(self._held) == MOST_WAITING:
                self._dialogue.close(DisconnectCode.TOO_MANY_REQUESTS.disconnect)
            self._held.append(command)
        elif request is None and not command.id:
            if not self._connecting.pong():
                self._dialogue.close(DisconnectCode.BAD_REQUEST.disconnect)
        elif request is None or (not command.id and not isinstance(request, SendRequest)):
            self._dialogue.close(DisconnectCode.BAD_REQUEST.disconnect)
        else:
            self._carry_out(command.id, request, now)

    def _carry_out(self, number: int, request: Request, now: float) -> None:
        if isinstance(request, ChannelRequest):
            self._channels.command(number, request, now)
            return
        match request:
            case PingRequest():
                self._dialogue.reply(Reply(number, ping=PingResult()))
            case RpcRequest():
                methods = Methods(self._dialogue, self._connecting.codec)
                self._dialogue.queue(METHODS, lambda _: methods.rpc(number, request), now)
            case SendRequest():
                methods = Methods(self._dialogue, self._connecting.codec)
                self._dialogue.queue(METHODS, lambda _: methods.message(request), now)
            case RefreshRequest():
                self._connecting.refresh_command(number, request, now)

    def _about(self, channel: str, push: Push) -> list[Action]:
        subscription = self._subscribing.subscriptions.live(channel)
        if subscription is not None and subscription.join_leave:
            self._dialogue.push(push)
        return self._dialogue.take()
