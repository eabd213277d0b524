"""Subjects: how rooms and keys are named on a NATS server."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from hubbub.core.errors import BrokerError

MAX_ROOM_BYTES: Final = 300

_SPECIAL: Final = re.compile(rb"[^A-Za-z0-9_-]")


def token_of(room: str) -> str:
    """A room's name as one token of a subject: no dot, wildcard, space or control character, and never empty.

    Letters, digits, ``_`` and ``-`` stand for themselves, every other byte of the UTF-8 form is ``=`` and two
    hexadecimal digits; so no two names have one token.

    Raises:
        BrokerError: if the name is empty, longer than `MAX_ROOM_BYTES` or not Unicode.
    """
    try:
        name = room.encode()
    except UnicodeEncodeError as error:
        raise BrokerError("the room's name is not valid Unicode") from error
    if not 0 < len(name) <= MAX_ROOM_BYTES:
        raise BrokerError(f"a room's name has 1 to {MAX_ROOM_BYTES} bytes")
    return _SPECIAL.sub(lambda match: b"=%02X" % match[0][0], name).decode("ascii")


def digest(*parts: str) -> str:
    """A token for keys of any content and length; different keys have different ones."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Subjects:
    """All subjects below one prefix."""

    prefix: str

    def live(self, room: str) -> str:
        """Where subscribers hear a room."""
        return f"{self.prefix}.room.{token_of(room)}"

    def stored(self, room: str) -> str:
        """Where publications for a room's history go; the stream repeats them on `live`."""
        return f"{self.prefix}.in.{token_of(room)}"

    def once(self, room: str) -> str:
        """Where publications with an idempotency key go in a room without history."""
        return f"{self.prefix}.once.{token_of(room)}"

    def done(self, message_id: str) -> str:
        """Where it is noted at which position an idempotency key was published."""
        return f"{self.prefix}.done.{message_id}"

    def claim(self, key: str) -> str:
        """Where a claim is kept."""
        return f"{self.prefix}.claim.{digest(key)}"
