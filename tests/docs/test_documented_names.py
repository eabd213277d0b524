"""The tables of the reference say what the code says: names, defaults, codes, options and paths."""

import ast
import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import click
import msgspec
import pytest
from document_blocks import ROOT, blocks_of, prose_of

import hubbub
from hubbub.core import errors
from hubbub.core.stats import RefusalReason
from hubbub.server import cli, pages
from hubbub.server.app import create_app
from hubbub.server.commands.options import SettingOption, default_of
from hubbub.server.configuration import IN_THE_ENVIRONMENT, load
from hubbub.server.plain_chat import chat_router
from hubbub.server.settings import RoomTable, Settings
from hubbub.uvicorn import SocketLimits

REFERENCE = ROOT / "docs/reference"


def section(page: str, heading: str) -> str:
    """What stands under a heading, down to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", prose_of(REFERENCE / page), re.M | re.S)
    assert found, f"{page} has no heading {heading!r}"
    return found[1]


def rows(page: str, heading: str) -> Iterator[list[str]]:
    """The rows of the tables under a heading, without their heads."""
    for line in section(page, heading).splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in line.strip("|").split(" |")]
        if line.startswith("|") and ("`" in cells[0] or re.match(r"\| \d", line)):
            yield cells


def names(text: str) -> set[str]:
    """The Python or JavaScript names in the code spans of a text, without `await` and arguments."""
    spans = re.findall(r"`([^`]+)`", text)
    return {found[1] for span in spans if (found := re.match(r"(?:await |async for \w+ in )?(\w+)", span))}


def public(kind: type) -> set[str]:
    """The public members of a class and of its instances."""
    own = [one for one in kind.__mro__ if one.__module__.startswith("hubbub")]
    slots = {name for one in own for name in getattr(one, "__slots__", ())}
    source = "".join(map(inspect.getsource, own))
    assigned = set(re.findall(r"self\.(\w+)(?::[^=\n]+)? = ", source))
    members = {name for one in own for name in vars(one)}
    return {name for name in {*members, *slots, *assigned} if not name.startswith("_")}


@pytest.mark.parametrize(
    "kind", [hubbub.Hub, hubbub.Connection, hubbub.Listener], ids=lambda kind: kind.__name__
)
def test_every_member_of_the_class_is_in_its_table(kind: type) -> None:
    table = section("python.md", kind.__name__).partition("|---")[2].partition("\n\n")[0]
    documented = {name for line in table.splitlines() for name in names(line.split(" |")[0])} - {"connection"}
    assert documented == public(kind) - {"connection"}


@pytest.mark.parametrize("name", ["hubbub.auth", "hubbub.fastapi", "hubbub.uvicorn", "hubbub.testing"])
def test_every_public_name_of_the_module_is_in_the_reference(name: str) -> None:
    module = importlib.import_module(name)
    own = getattr(module, "__all__", None) or [
        one for one, it in vars(module).items() if getattr(it, "__module__", "") == name and one[0] != "_"
    ]
    assert own
    assert set(own) - names(section("python.md", name)) == set()


def test_every_public_name_of_the_package_is_in_the_reference() -> None:
    text = (REFERENCE / "python.md").read_text()
    assert [name for name in hubbub.__all__ if f"`{name}" not in text and f"## {name}" not in text] == [
        "__version__"
    ]


@pytest.mark.parametrize(
    "kind",
    [hubbub.Limits, hubbub.Protection, hubbub.Heartbeat, hubbub.History, SocketLimits],
    ids=lambda kind: kind.__name__,
)
def test_the_defaults_are_those_of_the_code(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    documented = {row[0].strip("` "): row[1] for row in rows("python.md", kind.__name__)}
    assert documented == {field.name: str(field.default) for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("kind", [hubbub.Publication, hubbub.User], ids=lambda kind: kind.__name__)
def test_the_fields_are_those_of_the_code(kind: type) -> None:
    assert [row[0].strip("| `") for row in rows("python.md", kind.__name__)] == list(kind.__annotations__)


@pytest.mark.parametrize(
    "kind",
    [hubbub.Figures, hubbub.RoomFigures, hubbub.ConnectionFigures, hubbub.Distribution],
    ids=lambda kind: kind.__name__,
)
def test_the_figures_are_those_of_the_code(kind: type) -> None:
    assert [row[0].strip("| `") for row in rows("metrics.md", kind.__name__)] == list(kind.__annotations__)


def test_the_reasons_of_refusals_are_those_of_the_code() -> None:
    documented = [row[0].strip("| `") for row in rows("metrics.md", "Reasons of refusals")]
    assert documented == [reason.value for reason in RefusalReason]


def test_the_policies_are_those_of_the_code() -> None:
    assert [row[0].strip("| `") for row in rows("python.md", "Overflow")] == [
        str(one) for one in hubbub.Overflow
    ]


def test_the_errors_have_the_documented_codes() -> None:
    documented = {row[0].strip("| `"): (row[1], row[2]) for row in rows("python.md", "Errors")}
    there = {
        name: (str(int(kind.code)), "yes" if kind.retry else "no")
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.HubbubError)
    }
    assert documented == there


def test_the_close_codes_are_those_of_the_code() -> None:
    documented = {(row[0].strip("| "), row[1].strip("`")) for row in rows("protocol.md", "Close codes")}
    assert documented == {(str(int(code)), code.name) for code in errors.CloseCode}


def test_the_javascript_options_are_those_of_the_client() -> None:
    documented = {row[0].strip("| `"): row[1].strip("`") for row in rows("javascript.md", "Options")}
    types = (ROOT / "src/hubbub/js/types.d.ts").read_text()
    interface = types.partition("interface ReconnectOptions {")[2].partition("\n}")[0]
    assert list(documented) == re.findall(r"^  (\w+)\?:", interface, re.MULTILINE)
    code = (ROOT / "src/hubbub/js/reconnecting.js").read_text()
    for name, default in documented.items():
        found = re.search(rf"\b{name}(?::| \?\?=) ([^,;}}]+)[,;]", code.partition("DEFAULTS = {")[2])
        assert default in (shown(found[1].strip()) if found else {"none", "false"}), name


def shown(code: str) -> set[str]:
    """How a default of the client's may be written."""
    if "?" in code:
        return {code.rpartition(": ")[2].strip()}
    left, _, bits = code.replace("_", "").partition(" << ")
    return {str(int(left) << int(bits))} if bits else {left}


def test_the_javascript_members_are_those_of_the_client() -> None:
    documented = {name for row in rows("javascript.md", "Members") for name in names(row[0])}
    code = (ROOT / "src/hubbub/js/reconnecting.js").read_text().partition("export class")[2]
    members = set(re.findall(r"^  (?:get |set )?([a-z]\w+)\(.*\) \{", code, re.MULTILINE)) - {"constructor"}
    assert documented == members | {"CONNECTING", "OPEN", "CLOSING", "CLOSED"}
    events = {name for row in rows("javascript.md", "Events") for name in names(row[0])}
    assert events == set(
        re.findall(
            r'"(\w+)"', re.findall(r"for \(const type of \[(.+)\]\) \{\n      defineProperty", code)[0]
        )
    )


def options(command: click.Command) -> dict[str, tuple[str, str]]:
    """Each option's names, its default and its environment variable, as the reference shows them."""
    return {
        option.opts[0]: setting(option) or (default(option), str(option.envvar or ""))
        for option in command.params
        if isinstance(option, click.Option)
    }


def setting(option: click.Option) -> tuple[str, str] | None:
    """Those of an option of the server's settings, whose value may also come from elsewhere; else None."""
    if not isinstance(option, SettingOption):
        return None
    variable = next(name for name, meant in IN_THE_ENVIRONMENT.items() if meant == option.name)
    return default_of(option.name or ""), variable


def default(option: click.Option) -> str:
    """The default of any other option."""
    nothing = option.is_flag or option.multiple or option.default in (None, (), click.core.UNSET)
    return "" if nothing else str(option.default)


def test_every_command_has_its_options_in_the_reference() -> None:
    assert isinstance(cli.main, click.Group)
    context = click.Context(cli.main)
    commands = {name: cli.main.get_command(context, name) for name in cli.main.list_commands(context)}
    there = {name: options(command) for name, command in commands.items() if command is not None}
    checked, served = there.pop("check"), there["serve"]
    assert checked.items() <= served.items(), "it takes the options of serve, and has no table"
    for name, own in there.items():
        documented = {
            option: (row[1].strip("| "), row[2].strip("| `"))
            for row in rows("server.md", f"hubbub {name}")
            for option in re.findall(r"`(--[\w-]+)`", row[0])
        }
        assert documented == own, name


def test_every_option_of_rooms_is_in_the_reference() -> None:
    documented = {row[0].strip("| `"): row[1].strip("| ") for row in rows("server.md", "hubbub.toml")}
    defaults = {one.name: one.default for one in msgspec.structs.fields(RoomTable)}
    plain = {name: value.value if isinstance(value, Enum) else value for name, value in defaults.items()}
    assert documented == {
        name: "" if value is None else str(value).replace("False", "false") for name, value in plain.items()
    }


@pytest.mark.parametrize("page", ["reference/server.md", "how-to/configure.md"])
def test_every_file_of_the_documentation_is_one_that_the_server_takes(page: str, tmp_path: Path) -> None:
    files = [block for block in blocks_of(ROOT / "docs" / page) if block.language == "toml"]
    assert files
    for block in files:
        (tmp_path / "hubbub.toml").write_text(block.text)
        load(tmp_path / "hubbub.toml", {})


def test_every_path_of_the_server_is_in_the_reference() -> None:
    documented = {
        path
        for row in rows("server.md", "Paths of hubbub serve")
        for path in re.findall(r"`(/\S*?)`", row[0])
    }
    app = create_app(Settings(admin_key=("k" * 32,)))
    routes = [*app.routes, *pages.router.routes, *chat_router(hubbub.Hub()).routes]
    there = {path for route in routes if (path := getattr(route, "path", None))}
    assert documented == there - {"/openapi.json", "/redoc", "/docs/oauth2-redirect"}


def test_the_tutorial_app_is_described_whole() -> None:
    source = (ROOT / "examples/tutorial/app.py").read_text()
    text = (REFERENCE / "tutorial-app.md").read_text()
    variables = {row[0].strip("| `") for row in rows("tutorial-app.md", "Configuration")}
    assert variables == set(re.findall(r'"(HUBBUB_\w+)"', source))
    paths = re.findall(r'@app\.\w+\(\s*"([^"]+)"', source)
    assert paths
    assert [path for path in paths if f"`{path}`" not in text and f"POST {path}`" not in text] == []


def test_the_picture_of_the_layers_names_every_part() -> None:
    picture = next(
        block for block in blocks_of(ROOT / "docs/architecture.md") if block.language == "text"
    ).text
    parts = {path.stem for path in (ROOT / "src/hubbub").iterdir() if path.suffix == ".py" or path.is_dir()}
    layers = picture.partition("how a message travels")[0]
    assert parts - {"__init__", "__pycache__", "js"} - set(re.findall(r"\w+", layers)) == set()


def test_a_layer_of_the_picture_imports_nothing_above_it() -> None:
    picture = next(
        block for block in blocks_of(ROOT / "docs/architecture.md") if block.language == "text"
    ).text
    floors = picture.partition("how a message travels")[0].split("─\n")
    allowed = layers()
    height = {
        name: -number
        for number, floor in enumerate(floors)
        for name in set(re.findall(r"\w+", floor)) & set(allowed)
    }
    for name, below in allowed.items():
        if name in height and below != {"above"}:
            assert [other for other in below if height[other] > height[name]] == [], name


def layers() -> dict[str, set[str]]:
    """What each layer may import, as tests/test_layers.py holds it."""
    for node in ast.parse((ROOT / "tests/test_layers.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS":
            return {name: set(may.split()) for name, (may, _) in ast.literal_eval(node.value).items()}
    raise AssertionError("no LAYERS")


def test_the_changelog_begins_with_its_policy_and_its_date() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "**Compatibility.**" in text.partition("\n## ")[0]
    assert re.search(rf"^## {re.escape(hubbub.__version__)} - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)


def test_the_first_screen_of_the_readme_has_all_it_takes_to_begin() -> None:
    screen = "\n".join(Path(ROOT / "README.md").read_text().splitlines()[:32])
    for sign in (
        "# Hubbub",
        "FastAPI",
        "pip install",
        "uvicorn main:app",
        "Hub()",
        "ReconnectingWebSocket",
        "](docs/",
    ):
        assert sign in screen, sign
