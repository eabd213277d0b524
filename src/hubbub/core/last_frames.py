"""What a client still sends after a close frame of ours, until it is too much."""

from hubbub.core.frame_parser import FrameParser
from hubbub.core.frames import Close, Event


class LastFrames:
    """In place of a connection's parser. A client that does not stop counts as one that has closed.

    Args:
        parser: goes on until then.
        most: bytes that may still come.
    """

    __slots__ = ("_left", "_parser")

    def __init__(self, parser: FrameParser, most: int) -> None:
        self._parser = parser
        self._left = most

    @property
    def has_more(self) -> bool:
        """Whether bytes already taken hold further frames."""
        return self._left >= 0 and self._parser.has_more

    def take_message(self, data: bytes) -> None:
        """Messages are not wanted any more: everything is for `feed`."""

    def feed(self, data: bytes) -> list[Event]:
        """`FrameParser.feed`, or the end."""
        self._left -= len(data)
        if self._left < 0:
            return [Close(1000, "")]
        return self._parser.feed(data)
