"""What a session has done for it: messages to write, calls to make, and the end.

A `Call` names its number in `call`; whoever carries it out hands the outcome to `Session.answer` with that
number, at once or later, and exactly once. Each says which answer it takes besides `Failed`. Number 0 wants
no answer. Times are seconds; payloads are the hub's.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

import msgspec

from hubbub.centrifuge.errors import ClientError, Disconnect
from hubbub.centrifuge.requests import FilterNode
from hubbub.centrifuge.results import ClientInfo, Reply
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position


class Action(msgspec.Struct, frozen=True, gc=False):
    """Base of everything that a session returns."""


class Send(Action, frozen=True):
    """Write the message. Those that come together may share a frame."""

    reply: Reply


class Close(Action, frozen=True):
    """End the connection: it leaves all its channels. Nothing comes after it."""

    disconnect: Disconnect


class DeltaState(Enum):
    """What a subscriber can be sent."""

    NONE = "none"
    """It takes no deltas: always `Codec.encode_publication`."""

    EMPTY = "empty"
    """It takes deltas, but the next publication has to be whole: `Codec.encode_full`."""

    READY = "ready"
    """It has the publication at the position: from there on `Codec.encode_delta`."""


NO_DELTA: Final = DeltaState.NONE


class GoLive(Action, frozen=True):
    """The reply that subscribes is out: from now on the channel's publications are written to the client."""

    channel: str
    position: Position | None
    """What is written follows this one; None for a channel without history."""

    delta: DeltaState = NO_DELTA
    join_leave: bool = False
    """Joins and leaves of others are written, too."""

    tags_filter: FilterNode | None = None
    """Only publications whose tags fit are written."""


# Calls


class Call(Action, frozen=True):
    """Base of all calls."""

    call: int


class Authenticate(Call, frozen=True):
    """Find out who it is. Answered by `Accepted`."""

    token: str
    data: Payload | None = None
    name: str = ""
    version: str = ""
    headers: Mapping[str, str] = {}


class Subscribe(Call, frozen=True):
    """See whether the client may, and get what it has to know. Answered by `Subscribed`.

    Nothing of the channel is written to the client before `GoLive`. If the session does not want the
    subscription any more when the answer comes, it returns an `Unsubscribe`.
    """

    channel: str
    token: str = ""
    data: Payload | None = None
    since: Position | None = None
    """Where the client stands, if it wants what came after; an empty epoch stands for the present one."""

    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    """What the client would like, where the room's options leave it to the client."""

    tags_filter: FilterNode | None = None
    """It wants only publications whose tags fit; well formed. Where the channel allows no filters the answer
    is 107."""

    server_side: bool = False
    """Nobody has to be asked: the token, or the server, has subscribed the client."""


class Unsubscribe(Call, frozen=True):
    """Leave the channel at once, and say so to the others. Answered by `Done`."""

    channel: str
    code: int = 0
    """One of `UnsubscribeCode`; 0 when the client wanted it."""


class Publish(Call, frozen=True):
    """See whether the client may, and publish. Answered by `Done`."""

    channel: str
    data: Payload


class Presence(Call, frozen=True):
    """See whether the client may, and who is there. Answered by `Present`."""

    channel: str


class PresenceStats(Call, frozen=True):
    """See whether the client may, and how many are there. Answered by `Counted`."""

    channel: str


class History(Call, frozen=True):
    """See whether the client may, and read the history. Answered by `Page`."""

    channel: str
    since: Position | None
    """Only what came after it, or before it with `reverse`; an empty epoch stands for the present one."""

    limit: int
    """0 asks for the position alone."""

    reverse: bool = False
    """Newest first."""


class Rpc(Call, frozen=True):
    """Call a method of the application. Answered by `Returned`."""

    method: str
    data: Payload | None


class Message(Call, frozen=True):
    """Hand a message to the application. Answered by `Done`; `Failed` ends the connection."""

    data: Payload


class Refresh(Call, frozen=True):
    """Check a new token of the connection. Answered by `Refreshed`."""

    token: str
    """Empty where the client brings none: its time is over, and the application says whether it goes on."""


class SubRefresh(Call, frozen=True):
    """Check a new token of a subscription. Answered by `Refreshed`."""

    channel: str
    token: str
    """Empty as for `Refresh`."""


# Answers


class Answer(msgspec.Struct, frozen=True, gc=False):
    """Base of all answers to calls."""


class Failed(Answer, frozen=True):
    """It did not happen. `errors.error_for` makes the reason of an exception."""

    reason: ClientError | Disconnect
    """A `Disconnect` ends the connection instead of answering."""


class Done(Answer, frozen=True):
    """It happened."""


class Accepted(Answer, frozen=True):
    """The client is authenticated."""

    ttl: float | None = None
    """How long the credentials are good for; None for ever."""

    client_refresh: bool = False
    """The client can bring new ones (`Refresh`), and gets a grace for that; else the connection ends."""

    server_refresh: bool = False
    """At their end a `Refresh` without a token asks whether the connection goes on."""

    data: Payload | None = None
    """For the application on the other side."""

    channels: Sequence[str] = ()
    """What it is subscribed to without asking: each gets a `Subscribe` with `server_side`."""


class Subscribed(Answer, frozen=True):
    """The client may, and publications after `position` are at hand for it from this moment on."""

    position: Position | None = None
    """The newest of the channel; None where the client gets no positions."""

    recoverable: bool = False
    """The client may come back with a position; there is one then."""

    publications: Sequence[Publication] | None = None
    """All that came after `Subscribe.since`, oldest first, up to `position`; None if that is not kept.
    In cache mode only the newest, or nothing if there is none."""

    cache: bool = False
    """Only the newest publication matters (cache recovery)."""

    ttl: float | None = None
    """How long the subscription is good for; None for ever."""

    client_refresh: bool = False
    """The client can bring a new token (`SubRefresh`)."""

    server_refresh: bool = False
    """At its end a `SubRefresh` without a token asks whether it goes on."""

    data: Payload | None = None
    delta: bool = False
    """Deltas are allowed. They need a position."""

    join_leave: bool = False
    """The client shall hear of joins and leaves."""


class Present(Answer, frozen=True):
    """Who is there, by client id."""

    clients: Mapping[str, ClientInfo]


class Counted(Answer, frozen=True):
    """How many are there."""

    clients: int
    users: int


class Page(Answer, frozen=True):
    """A page of history."""

    publications: Sequence[Publication]
    position: Position
    """The newest of the channel."""


class Returned(Answer, frozen=True):
    """What the method returned."""

    data: Payload | None = None


class Refreshed(Answer, frozen=True):
    """The new token is good."""

    ttl: float | None = None
    """For how long; None for ever."""
