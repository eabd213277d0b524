"""What a server shows to whom: each part of it is on the public port, on the operator port, or off."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hubbub.server.settings import Settings, is_loopback


class Place(Enum):
    """Where a part is served."""

    PUBLIC = "public"
    OPERATOR = "operator"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Exposure:
    """Where one part is, and why."""

    place: Place
    why: str = ""
    """Of a part that is off though nobody said so: what would switch it on."""

    local: bool = False
    """It answers clients of this machine alone. A proxy beside the server may speak for others."""


OPEN_PARTS: Final = ("chat", "plain_rooms")
"""Parts for everybody, by the setting that switches them off."""

OPERATOR_PARTS: Final = ("api", "docs", "metrics", "admin")
"""Parts for those who run the server or its backends: with an operator port, there alone."""

KEYS: Final = {"metrics": "metrics_key", "admin": "admin_key"}
"""The keys without which these are off where others could reach them."""


def exposures(settings: Settings) -> Mapping[str, Exposure]:
    """Where each part is, by its setting."""
    found = {name: _open(settings, name) for name in OPEN_PARTS}
    return found | {name: _for_operators(settings, name) for name in OPERATOR_PARTS}


def operator_address(settings: Settings) -> str:
    """The address on which the parts for operators are."""
    return settings.host if settings.operator_port is None else settings.operator_host


def _open(settings: Settings, name: str) -> Exposure:
    return Exposure(Place.PUBLIC if getattr(settings, name) else Place.NOWHERE)


def _for_operators(settings: Settings, name: str) -> Exposure:
    switch: bool | None = getattr(settings, name)
    address = operator_address(settings)
    if switch is False:
        return Exposure(Place.NOWHERE)
    key = KEYS.get(name)
    shown = switch is True and name != "admin"  # metrics may be for everybody; to act always takes a key
    guarded = name == "api" or shown or (key is not None and bool(getattr(settings, key)))
    if not guarded and not is_loopback(address):
        if key is None:
            return Exposure(Place.NOWHERE, f"others can reach {address}: {name} = true shows it all the same")
        return Exposure(Place.NOWHERE, f"others can reach {address}: it takes {key}, or operator_port")
    place = Place.PUBLIC if settings.operator_port is None else Place.OPERATOR
    return Exposure(place, local=not guarded and place is Place.PUBLIC)
