"""How much of a hub one client, one user and one address may take."""

from dataclasses import dataclass, field

from hubbub.core.errors import ConfigurationError
from hubbub.core.rates import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Rates and caps of a hub: ``Hub(protection=Protection())``. None switches one off.

    Raises:
        ConfigurationError: if a number is not positive.
    """

    messages: Rate | None = field(default=Rate(20, 40))
    """Messages of one connection. One more is refused with an error."""

    user_messages: Rate | None = field(default=Rate(50, 100))
    """Messages of one user, over all connections in this process."""

    handshakes: Rate | None = field(default=Rate(10, 50))
    """Handshakes of one address. One more is refused with 503."""

    strikes: int = 3
    """So many messages over a rate are answered with an error; one more closes 1008. Ten seconds without one
    are a new beginning."""

    connections: int | None = 10_000
    """Connections of this process; never more than its open files, less 200, allow."""

    connections_per_user: int | None = 20
    """Connections of one user in this process."""

    connections_per_address: int | None = 200
    """Connections of one address in this process."""

    unauthenticated: int | None = 1_000
    """Connections of which it is not known yet whose they are."""

    idle_timeout: float | None = None
    """Seconds after which a connection is closed that was never in a room."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value: object = getattr(self, name)
            if isinstance(value, int | float) and value <= 0:
                raise ConfigurationError(f"Protection.{name} must be positive")
