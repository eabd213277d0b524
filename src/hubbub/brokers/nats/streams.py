"""The three JetStream streams of a hub, and how they are made and found (NATS ADR-1, JetStream API)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from hubbub.brokers.base import IDEMPOTENCY_WINDOW
from hubbub.brokers.nats.calls import NoResponders
from hubbub.brokers.nats.link import Link
from hubbub.brokers.nats.options import NatsOptions
from hubbub.core.errors import BrokerError, ConfigurationError

KEPT: Final = 30 * 86_400
"""Seconds after its last publication for which a room's position is known."""

ONCE_BYTES: Final = 67_108_864
CLAIMS_BYTES: Final = 67_108_864

AGREED: Final = 15
"""Seconds for which the name of a stream that is about to be made is kept."""

WRONG_LAST_SEQUENCE: Final = (10_071, 10_164)
"""Another message came first; the second where that one is still on its way to the replicas."""

OVERLAP: Final = 10_065
IN_USE: Final = 10_058
NO_JETSTREAM: Final = (10_039, 10_076)
_SECOND: Final = 1_000_000_000

T = TypeVar("T")


class ApiError(msgspec.Struct, frozen=True):
    """An error of the JetStream API."""

    code: int
    err_code: int = 0
    description: str = ""


class Republish(msgspec.Struct, frozen=True):
    """What a stream repeats, once it is stored, on another subject."""

    src: str
    dest: str


class StreamConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The part of a stream's configuration that is used; times in nanoseconds, sizes in bytes."""

    name: str
    subjects: list[str]
    max_age: int
    max_bytes: int
    num_replicas: int
    discard: str = ""
    duplicate_window: int = 0
    max_msgs_per_subject: int = 0
    allow_direct: bool = False
    allow_msg_ttl: bool = False
    republish: Republish | None = None
    metadata: dict[str, str] | None = None


class _Answer(msgspec.Struct, frozen=True):
    error: ApiError | None = None


class _Names(msgspec.Struct, frozen=True):
    streams: list[str] | None = None
    error: ApiError | None = None


class _Info(msgspec.Struct, frozen=True):
    config: StreamConfig | None = None
    error: ApiError | None = None


class _Message(msgspec.Struct, frozen=True):
    seq: int
    data: bytes = b""


class _Stored(msgspec.Struct, frozen=True):
    message: _Message | None = None
    error: ApiError | None = None


class Ack(msgspec.Struct, frozen=True):
    """What JetStream answers to a publication."""

    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


class Deleted(msgspec.Struct, frozen=True):
    """What JetStream answers when a message is to be deleted."""

    error: ApiError | None = None


@dataclass(frozen=True, slots=True)
class Streams:
    """The names of the streams."""

    history: str
    """Of this very stream: one made anew has another name, so nothing said of the old is believed of it."""

    once: str
    claims: str

    replicas: int
    """Servers that keep each of them."""


async def ensure_streams(link: Link, options: NatsOptions) -> Streams:
    """Find the streams, or make them.

    Raises:
        ConfigurationError: if there is no JetStream, or somebody else's stream has our subjects.
        BrokerError: if the server does not answer, or refuses.
    """
    try:
        account = await _ask(link, "INFO", b"", _Answer)
    except NoResponders as error:
        raise ConfigurationError("JetStream is not enabled on the NATS server (nats-server -js)") from error
    if account.error is not None and account.error.err_code in NO_JETSTREAM:
        raise ConfigurationError(f"no JetStream for this account: {account.error.description}")
    once, claims = f"{options.prefix}-once", f"{options.prefix}-claims"
    await _create(link, _once(once, options))
    await _create(link, _claims(claims, options))
    history = await _ensure_history(link, options, claims)
    return Streams(history, once, claims, options.replicas)


async def _ensure_history(link: Link, options: NatsOptions, claims: str) -> str:
    query = msgspec.json.encode({"subject": f"{options.prefix}.in.*"})
    names = await _ask(link, "STREAM.NAMES", query, _Names)
    if names.error is not None:
        raise BrokerError(f"the streams are not told: {names.error.description}")
    if names.streams:
        name = min(names.streams)
        await _check_owner(link, name)
        return name
    name = await _agree(link, options, claims)
    await _create(link, _history(name, options))
    return name


async def _agree(link: Link, options: NatsOptions, claims: str) -> str:
    """The name of the stream to make, the same for all nodes that need it now.

    A server that is asked for two streams with the same subjects at the same moment makes both.
    """
    subject, name = f"{options.prefix}.claim.history", f"{options.prefix}-history-{secrets.token_hex(8)}"
    headers = {"Nats-Expected-Last-Subject-Sequence": "0", "Nats-TTL": f"{AGREED}s"}
    for _ in range(3):
        ack = decode_answer((await link.request(subject, name.encode(), headers)).data, Ack)
        if ack.error is None:
            return name
        if ack.error.err_code not in WRONG_LAST_SEQUENCE:
            raise BrokerError(f"no name for the histories' stream: {ack.error.description}")
        found = await get_message(link, claims, {"last_by_subj": subject}, options.replicas)
        if found is not None:
            return found[1].decode()
    raise BrokerError("no name for the histories' stream is agreed on")


async def _check_owner(link: Link, name: str) -> None:
    info = await _ask(link, f"STREAM.INFO.{name}", b"", _Info)
    if info.config is None:
        raise BrokerError(f"stream {name}: {info.error.description if info.error else 'no configuration'}")
    if "hubbub" not in (info.config.metadata or {}):
        raise ConfigurationError(f"the stream {name} has subjects of this prefix, and is none of Hubbub's")


async def _create(link: Link, config: StreamConfig) -> None:
    """Make a stream; one that is there stays as it is."""
    answer = await _ask(link, f"STREAM.CREATE.{config.name}", msgspec.json.encode(config), _Answer)
    if answer.error is not None and answer.error.err_code == OVERLAP:
        raise ConfigurationError(f"another stream has subjects of the prefix of {config.name}")
    if answer.error is not None and answer.error.err_code != IN_USE:
        raise BrokerError(f"stream {config.name}: {answer.error.description}")


async def _ask(link: Link, endpoint: str, data: bytes, kind: type[T]) -> T:
    reply = await link.request(f"$JS.API.{endpoint}", data)
    return decode_answer(reply.data, kind)


async def get_message(
    link: Link, stream: str, query: Mapping[str, object], replicas: int
) -> tuple[int, bytes] | None:
    """A message of a stream and its place there; None if there is none.

    A direct answer (NATS ADR-31) is quicker, but with replicas it may come from one that lags behind: then
    the stream's leader is asked.

    Args:
        link: the connection.
        stream: the stream's name.
        query: ``{"seq": place}`` or ``{"last_by_subj": subject}``.
        replicas: how many servers keep the stream.

    Raises:
        BrokerError: if the server does not answer, or refuses.
    """
    data = msgspec.json.encode(query)
    if replicas > 1:
        stored = await _ask(link, f"STREAM.MSG.GET.{stream}", data, _Stored)
        if stored.message is not None:
            return stored.message.seq, stored.message.data
        if stored.error is not None and stored.error.code == 404:
            return None
        raise BrokerError("JetStream refused to read")
    reply = await link.request(f"$JS.API.DIRECT.GET.{stream}", data)
    if reply.status == "404":
        return None
    if reply.status:
        raise BrokerError(f"JetStream refused to read: {reply.status}")
    return int(reply.headers["Nats-Sequence"]), reply.data


def decode_answer(data: bytes, kind: type[T]) -> T:
    """Read an answer of JetStream.

    Raises:
        BrokerError: if it is none.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokerError(f"not an answer of JetStream: {error}") from error


def _history(name: str, options: NatsOptions) -> StreamConfig:
    prefix = options.prefix
    return StreamConfig(
        name,
        [f"{prefix}.in.*"],
        KEPT * _SECOND,
        options.history_bytes,
        options.replicas,
        duplicate_window=int(IDEMPOTENCY_WINDOW) * _SECOND,
        allow_direct=True,
        allow_msg_ttl=True,
        republish=Republish(f"{prefix}.in.*", f"{prefix}.room.{{{{wildcard(1)}}}}"),
        metadata={"hubbub": "1"},
    )


def _once(name: str, options: NatsOptions) -> StreamConfig:
    prefix, window = options.prefix, int(IDEMPOTENCY_WINDOW) * _SECOND
    return StreamConfig(
        name,
        [f"{prefix}.once.*", f"{prefix}.done.*"],
        window,
        min(ONCE_BYTES, options.history_bytes),
        options.replicas,
        duplicate_window=window,
        allow_direct=True,
        republish=Republish(f"{prefix}.once.*", f"{prefix}.room.{{{{wildcard(1)}}}}"),
        metadata={"hubbub": "1"},
    )


def _claims(name: str, options: NatsOptions) -> StreamConfig:
    return StreamConfig(
        name,
        [f"{options.prefix}.claim.*"],
        0,
        min(CLAIMS_BYTES, options.history_bytes),
        options.replicas,
        discard="new",  # refusing a claim is safer than forgetting one
        max_msgs_per_subject=1,
        allow_direct=True,
        allow_msg_ttl=True,
        metadata={"hubbub": "1"},
    )
