"""What one node says of itself once a second while somebody looks."""

import time
from typing import Final

import msgspec

from hubbub.core import signal_codec
from hubbub.hub import Hub
from hubbub.hub.parts import Parts
from hubbub.server.admin.broker_probe import broker_latency

MAX_BYTES: Final = 16_384
"""Largest snapshot that is read."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A node at one moment. What is counted only grows; the page makes rates of it."""

    node: str
    """The node's id."""

    name: str
    at: float
    """Seconds since the Unix epoch."""

    started: float
    """When the node's hub began, in the same seconds."""

    connections: int
    rooms: int
    messages_in: int
    """Counted, as `Figures` says; so are the others of that name there."""

    messages_out: int
    bytes_in: int
    bytes_out: int
    dropped: int
    slow: int
    dead: int
    refused: int
    """Counted: refusals of all reasons."""

    queued: int
    """Bytes that wait for clients."""

    lag: float
    """The longest that the event loop was late in the last ten seconds, in seconds."""

    cpu: float
    """Counted: processor time of the process, in seconds."""

    broker: bool
    """Whether the broker takes publications, as far as the node knows."""

    broker_errors: int
    latency: float | None
    """Seconds that the broker took for an answer; None where it gave none."""


_decoder: Final = msgspec.msgpack.Decoder(Snapshot)


def read_snapshot(data: bytes) -> Snapshot | None:
    """A snapshot as another node sent it; None for anything else."""
    return signal_codec.decode(data, _decoder, MAX_BYTES)


async def take_snapshot(hub: Hub, parts: Parts) -> Snapshot:
    """This node now. It takes as long as the broker takes for an answer."""
    latency = await broker_latency(parts.broker)
    own, figures = parts.nodes.nodes()[0], hub.figures
    return Snapshot(
        node=own.id,
        name=own.name,
        at=figures.time,
        started=own.started,
        connections=figures.connections,
        rooms=figures.rooms,
        messages_in=figures.messages_in,
        messages_out=figures.messages_out,
        bytes_in=figures.bytes_in,
        bytes_out=figures.bytes_out,
        dropped=figures.dropped,
        slow=figures.slow,
        dead=figures.dead,
        refused=sum(figures.refused.values()),
        queued=figures.queued_bytes,
        lag=figures.loop_lag_most,
        cpu=time.process_time(),
        broker=figures.broker_connected,
        broker_errors=figures.broker_errors,
        latency=latency,
    )
