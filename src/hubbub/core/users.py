"""Who a connection belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated user."""

    id: str
    """The token's `sub`."""

    claims: Mapping[str, object] = field(default_factory=dict)
    """What the token said besides."""

    expires_at: float | None = None
    """When the credentials end, in seconds since the Unix epoch; None if they do not."""
