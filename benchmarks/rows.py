"""The table of measurements: one row for each, with what it asks of the servers and of the load generator."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from benchmarks.peers import BARE, CHAT, ECHO, FANOUT, JSON, OWN_ROOMS, ROOMS


class Kind(Enum):
    """How a row's figure is taken (benchmarks/measure.py)."""

    CPU = "server CPU for each delivery"
    CONNECT = "server CPU for each connection"
    MEMORY = "server memory for each connection"
    LATENCY = "p99 of the time from send to receipt"
    STALLED = "p99 with a stalled member over p99 without"
    PUBLISH = "time for each publication"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement."""

    name: str
    title: str
    unit: str
    kind: Kind
    asks: tuple[str, ...]  # the first of these that a server has is measured
    load: tuple[str, ...]
    quick: bool = False
    beside: tuple[str, ...] = ("tutorial", "floor")  # where "how many times" starts from
    lists_all: bool = True  # whether servers that take no part have a line


def _load(**options: int | float | str) -> tuple[str, ...]:
    """Arguments of the load generator; its sizes are bytes, its times seconds."""
    return tuple(
        part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))
    )


THOUSAND = _load(connections=1000, size=128, warmup=0.3, seconds=1.0)
FIXED_RATE = _load(connections=1000, size=128, rate=20, warmup=0.5, seconds=3)
# 100 members and 100 messages of 16 KiB a second: 1.6 MB/s, so a stalled member's kernel buffers and then the
# server's bound are full within the run, and few enough deliveries that no server is busy all the time.
STALL = _load(connections=100, size=16384, rate=100, warmup=0.5, seconds=6)
# 64 publishers, each with one message under way until the broker has acknowledged it and its members have it.
PUBLISHERS = _load(mode="rooms", connections=64, rooms=64, window=64, size=128, warmup=0.5, seconds=2)
FANOUT_TITLE = "fan-out to 1,000 members, 128 B"

ALL: tuple[Row, ...] = (
    Row(
        "fanout-w1",
        f"{FANOUT_TITLE}, one at a time",
        "us",
        Kind.CPU,
        (FANOUT,),
        (*THOUSAND, *_load(window=1)),
        quick=True,
    ),
    Row(
        "fanout-w16",
        f"{FANOUT_TITLE}, bursts of 16",
        "us",
        Kind.CPU,
        (FANOUT,),
        (*THOUSAND, *_load(window=16)),
    ),
    Row(
        "fanout-w64",
        f"{FANOUT_TITLE}, bursts of 64",
        "us",
        Kind.CPU,
        (FANOUT,),
        (*THOUSAND, *_load(window=64)),
    ),
    Row(
        "rooms",
        "10,000 rooms of 10 over 1,000 connections, 64 in flight",
        "us",
        Kind.CPU,
        (ROOMS,),
        (*THOUSAND, *_load(mode="rooms", rooms=10000, room_size=10, window=64, messages=10000, seconds=20)),
    ),
    Row(
        "json",
        "JSON to 100 members, 128 B, bursts of 16",
        "us",
        Kind.CPU,
        (JSON,),
        _load(
            connections=100,
            size=128,
            window=16,
            warmup=0.3,
            seconds=1,
            prefix='{"from":"bench","text":"',
            suffix='"}',
        ),
    ),
    Row(
        "echo",
        "echo, 100 connections, 128 B",
        "us",
        Kind.CPU,
        (ECHO,),
        _load(mode="echo", connections=100, size=128, window=1, warmup=0.3, seconds=1),
    ),
    Row(
        "connect",
        "opening a connection, 2,000 of them",
        "us",
        Kind.CONNECT,
        (BARE, FANOUT),
        _load(mode="idle", connections=2000, opening=32),
    ),
    Row(
        "memory",
        "an idle connection, 5,000 of them",
        "KB",
        Kind.MEMORY,
        (BARE, FANOUT),
        _load(mode="idle", connections=5000, opening=64),
    ),
    Row(
        "publish",
        "publishing, 64 rooms with history and one member each",
        "us",
        Kind.PUBLISH,
        (OWN_ROOMS,),
        (*PUBLISHERS, *_load(room_size=1)),
        beside=("hubbub-history",),
        lists_all=False,
    ),
    Row(
        "publish-workers",
        "publishing to 64 members on two workers",
        "us",
        Kind.PUBLISH,
        (CHAT,),
        (*PUBLISHERS, *_load(room_size=64)),
        beside=("tutorial-redis",),
        lists_all=False,
    ),
    Row("latency", f"{FANOUT_TITLE}, 20 messages/s: p99", "ms", Kind.LATENCY, (FANOUT,), FIXED_RATE),
    Row("stalled", "p99 of 100 members, one of them stalled", "x", Kind.STALLED, (FANOUT,), STALL),
)

BY_NAME: Mapping[str, Row] = {row.name: row for row in ALL}
