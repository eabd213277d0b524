"""The configuration of a server: a file, the environment and options, the later ones stronger."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec

from hubbub.core.errors import ConfigurationError
from hubbub.core.patterns import Patterns
from hubbub.server.contradictions import contradictions
from hubbub.server.settings import HANDED_ON, METRICS_FOLDER, RoomTable, Settings
from hubbub.server.tables import ROOM, SETTINGS, ConfigurationProblems, option_of, read_room, unknown

FILE: Final = "hubbub.toml"
"""The file's name, where no other is given."""

PREFIX: Final = "HUBBUB_"
CONFIG: Final = f"{PREFIX}CONFIG"
"""The environment variable with the path of the file."""

URL: Final = f"{PREFIX}URL"
"""The environment variable with the address of a running server."""

DEFAULT: Final = "default"
"""The source of a value that nobody gave."""

IN_THE_ENVIRONMENT: Final = {PREFIX + name.upper(): name for name in SETTINGS if name != "rooms"}
"""Which setting a variable is for."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and where each of them comes from."""

    settings: Settings
    sources: Mapping[str, str]
    """A file, a variable, an option or `DEFAULT`, by the setting's name."""

    file: Path | None = None

    def place(self, name: str) -> str:
        """Where the value is to be changed, for a message."""
        source = self.sources[name]
        return source if source.startswith((PREFIX, "--")) else f"{source}: {name}"

    def with_values(self, source: str, **values: object) -> "Configuration":
        """The same with other values."""
        settings = msgspec.structs.replace(self.settings, **values)
        return Configuration(settings, {**self.sources, **dict.fromkeys(values, source)}, self.file)


def load(
    file: Path | None, environment: Mapping[str, str], options: Mapping[str, object] | None = None
) -> Configuration:
    """Read what the server is told.

    Args:
        file: its path; None for `CONFIG` in the environment, or `FILE` in the working directory if there.
        environment: the variables.
        options: values of the command line by the setting's name; None for one that was not given.

    Raises:
        ConfigurationProblems: with all that is wrong.
    """
    reading = _Reading()
    reading.take_options(options or {})
    reading.take_environment(environment)
    usage = len(reading.problems)
    path = file or (Path(environment[CONFIG]) if environment.get(CONFIG) else None)
    if path is None and Path(FILE).is_file():
        path = Path(FILE)
    if path is not None:
        reading.take_file(path)
    if reading.problems:
        raise ConfigurationProblems(reading.problems, usage=len(reading.problems) == usage)
    settings = Settings(**reading.values)
    configuration = Configuration(settings, dict.fromkeys(SETTINGS, DEFAULT) | reading.sources, path)
    if found := contradictions(settings):
        raise ConfigurationProblems([f"{configuration.place(name)}: {said}" for name, said in found])
    return configuration


class _Reading:
    """Collects values: what was taken first stays."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.problems: list[str] = []

    def take_options(self, options: Mapping[str, object]) -> None:
        for name, value in options.items():
            if value is not None and value != ():
                self._take(name, value, option_of(name), text=True)

    def take_environment(self, environment: Mapping[str, str]) -> None:
        for variable, value in sorted(environment.items()):
            name = IN_THE_ENVIRONMENT.get(variable)
            if name is not None and value:
                self._take(name, value, variable, text=True)
            elif name is None and (meant := _misspelt(variable)):
                self.problems.append(f"{variable}: unknown variable{meant}")

    def take_file(self, path: Path) -> None:
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors write a mark
        except OSError as error:
            self.problems.append(f"{path}: {error.strerror}")
            return
        except (ValueError, RecursionError) as error:  # TOMLDecodeError, and what it lets pass
            self.problems.append(f"{path}: this is no TOML: {error}")
            return
        for name, value in raw.items():
            if name == "rooms":
                self._take_rooms(path, value)
            elif name in SETTINGS:
                self._take(name, value, f"{path}", folder=path.parent)
            else:
                self.problems.append(f"{path}: {name}: {unknown(name, SETTINGS, ROOM)}")

    def _take(
        self, name: str, value: object, source: str, *, text: bool = False, folder: Path | None = None
    ) -> None:
        try:
            read = SETTINGS[name].read(value, text=text, folder=folder)
        except ValueError as error:
            self.problems.append(f"{source}: {error}" if text else f"{source}: {name}: {error}")
            return
        if name not in self.values:
            self.values[name] = read
            self.sources[name] = source

    def _take_rooms(self, path: Path, raw: object) -> None:
        if not isinstance(raw, dict):
            self.problems.append(f'{path}: rooms: expected tables like [rooms."chat:{{name}}"]')
            return
        rooms: dict[str, RoomTable] = {}
        for pattern, options in raw.items():
            where = f'{path}: rooms."{pattern}"'
            table = read_room(options, where, self.problems)
            try:
                Patterns[None]().add(pattern, None)
                if table is not None:
                    rooms[pattern] = table
                    table.arguments()
            except ConfigurationError as error:
                self.problems.append(f"{where}: {error}")
        self.values["rooms"] = rooms
        self.sources["rooms"] = f"{path}"


def _misspelt(variable: str) -> str:
    """What a variable was meant to be, if it looks like one of ours but for a slip."""
    if not variable.startswith(PREFIX) or variable in (CONFIG, URL, HANDED_ON, METRICS_FOLDER):
        return ""
    # Others may have variables of this prefix: an orchestrator makes some for a service of this name.
    known = [name.removeprefix(PREFIX) for name in (*IN_THE_ENVIRONMENT, CONFIG, URL)]
    found = get_close_matches(variable.removeprefix(PREFIX), known, n=1, cutoff=0.75)
    return f"; did you mean {PREFIX}{found[0]}?" if found else ""
