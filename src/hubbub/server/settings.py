"""What the server can be told: each field is a key of ``hubbub.toml``, a variable and an option."""

import ipaddress
import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Final, Literal, Self, cast

import msgspec
from msgspec import Meta, structs

from hubbub.core.history import History
from hubbub.core.options import Allow, Delta, RoomOptions, RoomSettings
from hubbub.core.outbox import Overflow
from hubbub.server.quantities import Bytes, Seconds

HANDED_ON: Final = "HUBBUB_SERVE_SETTINGS"
"""The environment variable in which the command hands its settings to the workers."""

METRICS_FOLDER: Final = "HUBBUB_SERVE_METRICS"
"""The environment variable in which it tells them where they share their figures."""

MAX_DRAIN: Final = 25
"""Longest drain, in seconds: the process ends within 30."""

REQUIRED_SECRETS: Final = ("secret", "api_key")
"""Secrets without which there is no server; where only its own machine can reach it, it makes them itself."""

SECRETS: Final = (*REQUIRED_SECRETS, "admin_key", "metrics_key")
"""The settings whose values are shown to nobody."""

MAX_HOOK_TIMEOUT: Final = 9
"""Longest time for an answer, in seconds: a client has 10 until it has to be known who it is."""

ROOM_HOOKS: Final = ("subscribe_hook", "publish_hook", "sub_refresh_hook")
"""The settings with the address of a backend that is asked about rooms whose tables say so."""

HOOKS: Final = ("connect_hook", "refresh_hook", "rpc_hook", *ROOM_HOOKS)
"""All settings with the address of a backend."""

LogFormat = Literal["auto", "json", "text"]
LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]


class RoomTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One table ``[rooms."pattern"]``: the options of the rooms whose names fit."""

    history_size: Annotated[int, Meta(ge=1)] | None = None
    history_ttl: Seconds | None = None
    history_bytes: Bytes | None = None
    presence: bool = False
    join_leave: bool = False
    force_push_join_leave: bool = False
    force_recovery: bool = False
    force_positioning: bool = False
    allow_recovery: bool = False
    allow_positioning: bool = False
    cache: bool = False
    delta: Delta | None = None
    allow_tags_filter: bool = False
    overflow: Overflow = Overflow.DISCONNECT
    allow_subscribe: Allow = Allow.TOKEN
    allow_publish: Allow = Allow.NOBODY
    allow_history: Allow = Allow.NOBODY
    allow_presence: Allow = Allow.NOBODY
    subscribe_hook: bool = False
    publish_hook: bool = False
    sub_refresh_hook: bool = False

    def arguments(self) -> RoomSettings:
        """The same as arguments of `Hub.room`.

        Raises:
            ConfigurationError: for options that cannot work together.
        """
        kept = (self.history_size, self.history_ttl, self.history_bytes)
        default = History()
        history = History(
            self.history_size or default.size,
            default.ttl if self.history_ttl is None else float(self.history_ttl),
            default.bytes if self.history_bytes is None else int(self.history_bytes),
        )
        others = structs.asdict(self).items()
        same = {name: value for name, value in others if not name.startswith("history") and name not in HOOKS}
        settings = cast(RoomSettings, {"history": None if kept == (None, None, None) else history, **same})
        RoomOptions(**settings)
        return settings


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of ``hubbub serve``."""

    host: Annotated[str, Meta(description="Address to bind.", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to bind.", ge=0, le=65_535)] = 8_000
    operator_host: Annotated[str, Meta(description="Address of the operator port.", min_length=1)] = (
        "127.0.0.1"
    )
    operator_port: Annotated[
        Annotated[int, Meta(ge=0, le=65_535)] | None,
        Meta(description="A port of its own for admin, API, metrics and docs."),
    ] = None
    workers: Annotated[int, Meta(description="How many processes.", ge=1)] = 1
    drain: Annotated[
        float,
        Meta(
            description="Seconds over which clients are told to reconnect after SIGTERM.", ge=0, le=MAX_DRAIN
        ),
    ] = 10.0
    log_level: Annotated[LogLevel, Meta(description="How much is logged.")] = "info"
    log_format: Annotated[
        LogFormat, Meta(description="How: auto is JSON unless the standard error is a terminal.")
    ] = "auto"
    broker: Annotated[
        str | None,
        Meta(description="The broker's URL; else a SQLite file, with several workers a Valkey of their own."),
    ] = None
    data: Annotated[Path, Meta(description="The folder for what is kept. It is made where it is needed.")] = (
        Path("hubbub-data")
    )
    origins: Annotated[
        tuple[str, ...],
        Meta(
            description="A page's origin that may connect besides this server's own, like https://app.example.com."
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="A proxy's address or network, whose word about where a client is counts; "
            "else those of this machine."
        ),
    ] = ()
    secret: Annotated[
        tuple[str, ...],
        Meta(description="Signs tokens, 32 bytes or more. The first of several signs, all are accepted."),
    ] = ()
    api_key: Annotated[
        tuple[str, ...], Meta(description="Lets a program use the HTTP API, 32 bytes or more.")
    ] = ()
    admin_key: Annotated[
        tuple[str, ...], Meta(description="Lets a person use the admin page, 32 bytes or more.")
    ] = ()
    metrics_key: Annotated[
        tuple[str, ...], Meta(description="Lets a program read the metrics, 32 bytes or more.")
    ] = ()
    chat: Annotated[bool, Meta(description="The chat: its page and its rooms.")] = True
    plain_rooms: Annotated[bool, Meta(description="The plain rooms, /ws/room/{room}.")] = True
    api: Annotated[bool, Meta(description="The HTTP API.")] = True
    docs: Annotated[
        bool | None, Meta(description="The API docs; else only where no other machine can reach them.")
    ] = None
    metrics: Annotated[
        bool | None,
        Meta(description="The metrics; else only with a key, or where no other machine can reach them."),
    ] = None
    admin: Annotated[
        bool | None,
        Meta(description="The admin page; else only with a key, or where no other machine can reach it."),
    ] = None
    token_audience: Annotated[str | None, Meta(description="The aud that tokens have to have.")] = None
    token_issuer: Annotated[str | None, Meta(description="The iss that tokens have to have.")] = None
    jwks: Annotated[
        tuple[str, ...], Meta(description="Address of a key set that signs tokens, in place of a secret.")
    ] = ()
    jwks_algorithms: Annotated[
        tuple[str, ...], Meta(description="What those keys sign with, all of one family.", min_length=1)
    ] = ("RS256",)
    anonymous: Annotated[bool, Meta(description="Let clients in that show no token.")] = False
    personal_room: Annotated[str | None, Meta(description="Each user's own room, like user:{id}.")] = None
    protection: Annotated[bool, Meta(description="The rates and caps below.")] = True
    message_rate: Annotated[
        float, Meta(description="Messages of one connection a second; 0 for any number.", ge=0)
    ] = 20.0
    message_burst: Annotated[int, Meta(description="So many of them at once.", ge=1)] = 40
    user_message_rate: Annotated[
        float, Meta(description="Messages of one user a second; 0 for any number.", ge=0)
    ] = 50.0
    user_message_burst: Annotated[int, Meta(description="So many of them at once.", ge=1)] = 100
    handshake_rate: Annotated[
        float, Meta(description="New connections of one address a second; 0 for any number.", ge=0)
    ] = 10.0
    handshake_burst: Annotated[int, Meta(description="So many of them at once.", ge=1)] = 50
    max_connections: Annotated[
        int, Meta(description="Connections of each process; 0 for any number.", ge=0)
    ] = 10_000
    max_connections_per_user: Annotated[
        int, Meta(description="Connections of one user in each process; 0 for any number.", ge=0)
    ] = 20
    max_connections_per_address: Annotated[
        int, Meta(description="Connections of one address in each process; 0 for any number.", ge=0)
    ] = 200
    max_unauthenticated: Annotated[
        int, Meta(description="Connections in each process that have not said yet whose they are.", ge=1)
    ] = 1_000
    idle_timeout: Annotated[
        float, Meta(description="Seconds until a connection in no room is closed; 0 for never.", ge=0)
    ] = 60.0
    connect_hook: Annotated[str | None, Meta(description="Asked who a client is that shows no token.")] = None
    refresh_hook: Annotated[
        str | None, Meta(description="Asked whether a client goes on whose time is over.")
    ] = None
    subscribe_hook: Annotated[str | None, Meta(description="Asked who may join; see rooms.")] = None
    publish_hook: Annotated[str | None, Meta(description="Asked who may publish, and what; see rooms.")] = (
        None
    )
    sub_refresh_hook: Annotated[
        str | None, Meta(description="Asked whether a subscription goes on; see rooms.")
    ] = None
    rpc_hook: Annotated[str | None, Meta(description="Asked to carry out what clients call.")] = None
    hook_headers: Annotated[
        tuple[str, ...], Meta(description="A header of the client's handshake that a hook gets, like cookie.")
    ] = ()
    hook_client_headers: Annotated[
        tuple[str, ...],
        Meta(description="A header that a hook gets of those in the client's connect message."),
    ] = ()
    hook_static_headers: Annotated[
        tuple[str, ...], Meta(description="A header that every hook gets, like X-Key:value.")
    ] = ()
    hook_timeout: Annotated[
        float, Meta(description="Seconds that a hook may take to answer.", ge=0.01, le=MAX_HOOK_TIMEOUT)
    ] = 1.0
    hook_requests: Annotated[
        int, Meta(description="Open questions of each process; more are refused.", ge=1)
    ] = 256
    hook_binary: Annotated[bool, Meta(description="Hooks get all data in base64, as b64data.")] = False
    ssl_certfile: Annotated[Path | None, Meta(description="For https: and wss: the certificate, PEM.")] = None
    ssl_keyfile: Annotated[Path | None, Meta(description="For https: and wss: the key, PEM.")] = None
    rooms: Annotated[
        dict[str, RoomTable], Meta(description="Options of rooms, by the pattern of their names.")
    ] = {}

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def hooks(self) -> dict[str, str]:
        """The addresses of the hooks that there are, by event."""
        addresses = {name.removesuffix("_hook"): getattr(self, name) for name in HOOKS}
        return {event: address for event, address in addresses.items() if address is not None}

    @property
    def effective_broker(self) -> str:
        """The broker's URL, also where none was given: then it keeps what it is told in the folder `data`.

        One process has a SQLite file. Several have a Valkey of their own, which the first of them starts.
        """
        if self.broker is not None:
            return self.broker
        folder = self.data.absolute().as_posix()
        return f"sqlite:///{folder}/hubbub.db" if self.workers == 1 else f"embedded://{folder}/valkey"

    @property
    def keeps_nothing(self) -> bool:
        """Whether all is gone with the process, so that there is no need of a folder."""
        return self.effective_broker.startswith("memory:")

    @property
    def missing_secrets(self) -> list[str]:
        """Which of `REQUIRED_SECRETS` nobody has given. Key sets stand in for the secret of tokens."""
        needed = [name for name in REQUIRED_SECRETS if not (name == "secret" and self.jwks)]
        return [name for name in needed if not getattr(self, name)]

    @classmethod
    def handed_on(cls) -> Self:
        """The settings that the command was started with. Processes that this one starts do not see them."""
        return msgspec.json.decode(os.environ.pop(HANDED_ON), type=cls, dec_hook=read_value)

    def hand_on(self) -> None:
        """Leave the settings for the processes that this one starts."""
        os.environ[HANDED_ON] = msgspec.json.encode(self, enc_hook=plain_value).decode()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on that address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_value(kind: type, value: object) -> object:
    """Make a time, a size or a path of a plain value: the hook of `msgspec` for decoding.

    Raises:
        ValueError: if it is none.
    """
    if kind in (Seconds, Bytes):
        amount: Seconds | Bytes = kind.parse(value)
        if amount <= 0:
            raise ValueError("expected more than 0")
        return amount
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value)
    raise ValueError("expected the path of a file or folder")


def plain_value(value: object) -> object:
    """The other way round: the hook of `msgspec` for encoding."""
    match value:
        case Bytes():
            return int(value)
        case Seconds():
            return float(value)
        case Enum():
            return value.value
    return str(value)
