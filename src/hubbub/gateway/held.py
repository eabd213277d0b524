"""Publications between the answer that subscribes a client and the reply that says so.

Mostly both are one step. But a client whose token names several rooms gets one reply for all of them, and
what is published in the first room meanwhile follows the position that the reply tells.
"""

from msgspec.structs import replace

from hubbub.centrifuge.actions import DeltaState, GoLive
from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.recovery import wanted
from hubbub.core.messages import Publication
from hubbub.core.positions import Position
from hubbub.hub.following import Following


class Held:
    """The rooms of one client that wait for their reply.

    Args:
        following: records what is published meanwhile.
    """

    __slots__ = ("_following", "_recordings")

    def __init__(self, following: Following) -> None:
        self._following = following
        self._recordings: dict[str, list[Publication]] = {}

    @property
    def empty(self) -> bool:
        """No room waits."""
        return not self._recordings

    def hold(self, room: str) -> None:
        """From now on until `release`, keep what is published in a room that is followed."""
        self._recordings[room] = self._following.record(room)

    def release(self, room: str) -> list[Publication]:
        """What was published there; nothing for a room that was not held."""
        recording = self._recordings.pop(room, None)
        if recording is None:
            return []
        self._following.stop_recording(room, recording)
        return recording


def catch_up(
    codec: Codec, live: GoLive, held: list[Publication], now: Position | None
) -> tuple[GoLive, bytes, Position | None]:
    """What the client gets before it goes live, now that its reply is out.

    Args:
        codec: the client's.
        live: how it was to go live when the reply was made.
        held: what was published since.
        now: where the room stands.

    Returns how it goes live, the pushes to write before, and, if publications are missing, the position that
    they lead to; then there are no pushes.
    """
    position = live.position
    if position is None or now is None:
        return live, b"", None
    if position.epoch != now.epoch or position.offset + len(held) != now.offset:
        return live, b"", now
    if not held:
        return live, b"", None
    whole = live.delta is DeltaState.NONE
    encode = codec.encode_publication if whole else codec.encode_full
    pushes = codec.join([encode(live.channel, publication) for publication in wanted(held, live.tags_filter)])
    delta = DeltaState.NONE if whole else DeltaState.READY
    return replace(live, position=now, delta=delta), pushes, None
