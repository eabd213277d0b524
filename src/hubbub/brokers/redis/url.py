"""What a Redis URL says: where the servers are, how to get in, and how long to wait."""

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote

from hubbub.brokers.urls import split_url
from hubbub.core.errors import ConfigurationError

PORTS = {"redis": 6379, "rediss": 6379, "redis+sentinel": 26379, "redis+cluster": 6379}
SCHEMES = (*PORTS, "unix")
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:,@\s]*)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where one server listens: a host and port, or the path of a Unix socket."""

    host: str = "localhost"
    port: int = 6379
    path: str = ""

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to a server. Never shown."""

    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Tls:
    """How a ``rediss://`` connection checks its server and proves itself; paths of PEM files."""

    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the broker was told. Times are seconds."""

    addresses: tuple[Address, ...] = (Address(),)
    """The server; the sentinels or some nodes of the cluster where it is one of these."""

    cluster: bool = False
    service: str | None = None
    """The name by which sentinels know the server."""

    db: int = 0
    login: Login = Login()
    sentinel_login: Login = Login()
    tls: Tls | None = None
    prefix: str = "hubbub"
    timeout: float = 5.0
    """Longest wait for the answer to a command."""

    connect_timeout: float = 2.0
    ping_interval: float = 1.0
    ping_timeout: float = 2.0
    """Longest silence of a server that owes an answer."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read a URL. What is wrong with it is said without repeating it: it may hold a password.

        Raises:
            ConfigurationError: for a URL that cannot work.
        """
        parts = split_url(url)
        if parts.scheme not in SCHEMES:
            raise ConfigurationError(
                f"not a Redis URL: it begins with {' or '.join(map('{}://'.format, SCHEMES))}"
            )
        options, usual = _Options(parts.query), cls()
        who, _, where = parts.netloc.rpartition("@")
        username, _, password = who.partition(":")
        addresses = _addresses(parts, where)
        service, db = _path(parts, options)
        settings = cls(
            addresses=addresses,
            cluster=parts.scheme == "redis+cluster",
            service=service,
            db=db,
            login=Login(unquote(username) or None, unquote(password) or None),
            sentinel_login=Login(options.text("sentinel_username"), options.text("sentinel_password")),
            tls=_tls(parts.scheme, options),
            prefix=options.text("prefix") or usual.prefix,
            timeout=options.seconds("timeout", usual.timeout),
            connect_timeout=options.seconds("connect_timeout", usual.connect_timeout),
            ping_interval=options.seconds("ping_interval", usual.ping_interval),
            ping_timeout=options.seconds("ping_timeout", usual.ping_timeout),
        )
        if options.unread:
            raise ConfigurationError(f"unknown options in the Redis URL: {', '.join(sorted(options.unread))}")
        return settings

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigurationError("the Redis prefix is 1 to 64 of ASCII letters, digits and _ . : -")
        if self.cluster and self.db:
            raise ConfigurationError("a Redis cluster has no database numbers")
        if self.ping_timeout <= self.ping_interval:
            raise ConfigurationError("the Redis ping_timeout must be longer than the ping_interval")


class _Options:
    """The query of a URL, and what of it nobody has asked for yet."""

    def __init__(self, query: str) -> None:
        self._values = dict(parse_qsl(query, keep_blank_values=True))
        self.unread = set(self._values)

    def text(self, name: str) -> str | None:
        self.unread.discard(name)
        return self._values.get(name)

    def seconds(self, name: str, default: float) -> float:
        text = self.text(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value <= 3600:
            raise ConfigurationError(
                f"{name} in the Redis URL is a number of seconds, more than 0, at most 3600"
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        text = self.text(name)
        if text not in (None, "true", "false"):
            raise ConfigurationError(f"{name} in the Redis URL is true or false")
        return default if text is None else text == "true"


def _addresses(parts: SplitResult, where: str) -> tuple[Address, ...]:
    if parts.scheme == "unix":
        if where or not parts.path:
            raise ConfigurationError("a Unix socket's URL is unix:///path/of/the/socket")
        return (Address(path=unquote(parts.path)),)
    names = where.split(",") if parts.scheme in ("redis+sentinel", "redis+cluster") else [where]
    return tuple(_address(name, PORTS[parts.scheme]) for name in names)


def _address(name: str, port: int) -> Address:
    found = _HOST.fullmatch(name)
    if found is None or int(found[2] or port) > 65_535:
        raise ConfigurationError(
            "a host in the Redis URL cannot be read; a password may need percent-encoding"
        )
    return Address(found[1].strip("[]") or "localhost", int(found[2] or port))


def _path(parts: SplitResult, options: _Options) -> tuple[str | None, int]:
    """The sentinels' service and the number of the database: ``/service/db``, ``/db`` or ``?db=``."""
    names = [] if parts.scheme == "unix" else [unquote(name) for name in parts.path.split("/") if name]
    service = names.pop(0) if names and parts.scheme == "redis+sentinel" else None
    if parts.scheme == "redis+sentinel" and not service:
        raise ConfigurationError("the URL of sentinels names the service: redis+sentinel://host:port/service")
    number = options.text("db") or (names.pop(0) if names else "0")
    if names or not number.isdecimal() or not number.isascii():
        raise ConfigurationError("the path of the Redis URL is not the number of a database")
    return service, int(number)


def _tls(scheme: str, options: _Options) -> Tls | None:
    wanted = options.flag("tls", scheme == "rediss")
    tls = Tls(
        options.flag("tls_verify", True),
        options.text("tls_ca_file"),
        options.text("tls_cert_file"),
        options.text("tls_key_file"),
    )
    if not wanted and tls != Tls():
        raise ConfigurationError("TLS options in a Redis URL without TLS: use rediss:// or tls=true")
    if wanted and scheme == "unix":
        raise ConfigurationError("a Unix socket has no TLS")
    return tls if wanted else None
