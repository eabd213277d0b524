"""How rooms are named inside the server, and what is written on their channels."""

import binascii
from dataclasses import dataclass

from hubbub.core.errors import BrokerError
from hubbub.core.positions import Position

SLOTS = 16_384


@dataclass(frozen=True, slots=True)
class Keys:
    """The names that belong to one prefix and one database; `hubbub.brokers.redis` lists them."""

    prefix: str
    db: int

    def meta(self, room: str) -> bytes:
        """Where a room's epoch and newest offset are."""
        return f"{self.prefix}:{{{room}}}:meta".encode()

    def log(self, room: str) -> bytes:
        """Where a room's publications are."""
        return f"{self.prefix}:{{{room}}}:log".encode()

    def erased(self, room: str) -> bytes:
        """Where it is remembered which publications were taken out of the log."""
        return f"{self.prefix}:{{{room}}}:erased".encode()

    def once(self, room: str, idempotency_key: str) -> bytes:
        """Where it is remembered what was published with an idempotency key."""
        return f"{self.prefix}:{{{room}}}:once:{idempotency_key}".encode("utf-8", "surrogatepass")

    def claim(self, key: str) -> bytes:
        """Where a claim is remembered."""
        return f"{self.prefix}:{{{key}}}:claim".encode("utf-8", "surrogatepass")

    def channel(self, room: str) -> bytes:
        """The channel on which a room's publications come."""
        return f"{self.prefix}:{self.db}:{{{room}}}".encode()


def slot(key: bytes) -> int:
    """The slot of a cluster that a key or channel belongs to.

    https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/: CRC16 (XMODEM) of what stands
    between the first braces, or of everything if nothing does.
    """
    start = key.find(b"{") + 1
    end = key.find(b"}", start)
    return binascii.crc_hqx(key[start:end] if start and end > start else key, 0) % SLOTS


def read_place(data: bytes) -> tuple[Position | None, bytes]:
    """Split ``offset:epoch:rest``; both are empty where there is no position.

    Raises:
        BrokerError: if it is something else.
    """
    offset, _, more = data.partition(b":")
    epoch, separator, rest = more.partition(b":")
    if not separator or not (offset.isdigit() if epoch else not offset):
        raise BrokerError("not a message of Hubbub")
    return (Position(epoch.decode("ascii", "replace"), int(offset)) if offset else None), rest
