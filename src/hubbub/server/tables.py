"""Reading settings into their types, with messages that say where a mistake is and what was meant."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from hubbub.core.errors import ConfigurationError
from hubbub.server.settings import RoomTable, Settings, read_value

_YES: Final = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_NAMES: Final = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "a table",
}
"""What `msgspec` calls types, and what people do."""


class ConfigurationProblems(ConfigurationError):
    """All that is wrong with a configuration.

    Args:
        problems: one line each.
        usage: whether all of them are about how something was called.
    """

    def __init__(self, problems: Sequence[str], *, usage: bool = False) -> None:
        self.problems = tuple(dict.fromkeys(problems))  # what is wrong with each of many values is one
        super().__init__("\n".join(self.problems))
        self.usage = usage


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: its name, its type, and what may be in its place."""

    name: str
    kind: Any

    @property
    def base(self) -> Any:
        """The type without what is said about it."""
        base = self.kind
        while get_origin(base) is Annotated:
            base = get_args(base)[0]
        return base

    @property
    def is_list(self) -> bool:
        """Whether there may be several values."""
        return get_origin(self.base) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        """The possible values; none where there are endlessly many."""
        kinds = get_args(self.base) if isinstance(self.base, UnionType) else (self.base,)
        for kind in kinds:
            if get_origin(kind) is Literal:
                return get_args(kind)
            if isinstance(kind, type) and issubclass(kind, Enum):
                return tuple(str(one.value) for one in kind)
        return ()

    @property
    def is_switch(self) -> bool:
        """Whether it is true or false, or left to the server."""
        return bool in (self.base, *get_args(self.base))

    @property
    def number(self) -> tuple[type[int | float], Meta] | None:
        """Whole or not, and its bounds; None for what is no number."""
        for kind in (self.kind, *get_args(self.base)):
            plain, *said = get_args(kind) if get_origin(kind) is Annotated else (kind,)
            for bounds in said:
                if plain in (int, float) and isinstance(bounds, Meta):
                    return plain, bounds
        return None

    def read(self, value: object, *, text: bool = False, folder: Path | None = None) -> Any:
        """Make a value of what was given.

        Args:
            value: as it was given.
            text: it comes from a place where there is only text, like the environment.
            folder: what paths are relative to.

        Raises:
            ValueError: if it is not of the type. The message never has the value in it.
        """
        if self.is_list and isinstance(value, str):
            value = value.split() if text else [value]
        elif text and isinstance(value, str):
            value = _YES.get(value.lower(), value) if self.is_switch else value
        try:
            read = msgspec.convert(value, self.kind, strict=not text, dec_hook=read_value)
        except msgspec.ValidationError as error:
            raise ValueError(self._explained(str(error), value)) from None
        return folder / read if folder is not None and isinstance(read, Path) else read

    def _explained(self, message: str, value: object) -> str:
        said, _, place = message.partition(" - at ")
        place = place.strip("`$")
        if said.startswith("Invalid enum value"):
            return f"expected one of {', '.join(self.choices)}{near(str(value), self.choices)}"
        said = re.sub(r"`(\w+) \| null`", r"`\1`", said)
        said = re.sub(r"`(\w+)`", lambda found: _NAMES.get(found[1], found[1]), said)
        return said[0].lower() + said[1:] + (f" at {place}" if place else "")


def fields(kind: type[msgspec.Struct]) -> dict[str, Field]:
    """The settings of a table, by name."""
    return {one.name: Field(one.name, one.type) for one in msgspec.structs.fields(kind)}


SETTINGS: Final = fields(Settings)
ROOM: Final = fields(RoomTable)

_OPTIONS: Final = {
    "origins": "--origin",
    "trusted_proxies": "--trusted-proxy",
    "jwks_algorithms": "--jwks-algorithm",
    "hook_headers": "--hook-header",
    "hook_client_headers": "--hook-client-header",
    "hook_static_headers": "--hook-static-header",
}


def option_of(name: str) -> str:
    """The option of the command line for a setting."""
    return _OPTIONS.get(name) or f"--{name.replace('_', '-')}"


def near(name: str, known: Sequence[str]) -> str:
    """A question that has the known name most like this one; nothing if none is."""
    found = get_close_matches(name.replace("-", "_"), known, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def unknown(name: str, known: Mapping[str, Field], elsewhere: Mapping[str, Field]) -> str:
    """What to say of a key that a table does not have."""
    if name in elsewhere:
        if elsewhere is ROOM:
            return 'unknown key; it is an option of rooms, in a table [rooms."pattern"]'
        return "unknown key; it belongs above the first [rooms…] table"
    return "unknown key" + (near(name, list(known)) or f"; there are {', '.join(known)}")


def read_room(raw: object, where: str, problems: list[str]) -> RoomTable | None:
    """The options of one pattern; what is wrong is added to the problems."""
    if not isinstance(raw, dict):
        problems.append(f"{where}: expected a table of options")
        return None
    values: dict[str, Any] = {}
    before = len(problems)
    for name, value in raw.items():
        if name not in ROOM:
            problems.append(f"{where}.{name}: {unknown(name, ROOM, SETTINGS)}")
            continue
        try:
            values[name] = ROOM[name].read(value)
        except ValueError as error:
            problems.append(f"{where}.{name}: {error}")
    return RoomTable(**values) if len(problems) == before else None
