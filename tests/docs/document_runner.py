"""Runs a page of the documentation from top to bottom, as a reader would who types everything in."""

import asyncio
import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from document_apps import API_KEY, DEADLINE, SECRET, RunningApp, running_app
from document_blocks import Block, blocks_of
from document_pages import BrowserPage
from document_shell import check_line
from document_wire import Conversation
from playwright.async_api import Browser

from hubbub.auth import Tokens

CODE = {"python", "diff", "html", "javascript", "wire"}
"""The languages whose blocks are run in order."""


@dataclass
class Program:
    """A module grown out of the Python blocks of a page, and what is done with it."""

    place: str
    """Of the block that begins it."""

    module: str = ""
    files: dict[str, str] = field(default_factory=dict)
    steps: list[Block] = field(default_factory=list)
    """Blocks of JavaScript and wire, in order."""

    prefixes: list[str] = field(default_factory=list)
    """The module as it stood after each of its blocks."""

    @property
    def needs_browser(self) -> bool:
        return any(step.language == "javascript" or "\npage " in f"\n{step.text}" for step in self.steps)

    @property
    def is_app(self) -> bool:
        return "FastAPI(" in self.module


def tests_of(blocks: list[Block]) -> list[Block]:
    """The Python blocks that are tests, to be run by pytest."""
    return [block for block in blocks if block.language == "python" and "def test_" in block.text]


def programs_of(blocks: list[Block]) -> list[Program]:
    """The programs of a page: each ``FastAPI(`` begins a new one, and later Python blocks add to it."""
    programs: list[Program] = []
    for block in blocks:
        if block.language == "python" and "def test_" not in block.text:
            if not programs or ("FastAPI(" in block.text and programs[-1].is_app):
                programs.append(Program(block.place))
            programs[-1].module += ("\n\n" if programs[-1].module else "") + block.text
            programs[-1].prefixes.append(programs[-1].module)
        elif block.language == "diff":
            before, after = sides(block)
            assert before == programs[-1].module, f"{block.place}: the left side is not the program above"
            spoken = [step for step in programs[-1].steps if step.language == "wire"]
            programs.append(Program(block.place, after, steps=spoken, prefixes=[after]))
        elif block.language == "html":
            programs[-1].files["page.html"] = block.text
        elif block.language in {"javascript", "wire"}:
            assert programs, f"{block.place}: no program to speak with"
            programs[-1].steps.append(block)
    return programs


def sides(block: Block) -> tuple[str, str]:
    """What a diff turns into what."""
    lines = block.text.splitlines(keepends=True)
    assert all(line[0] in " +-\n" for line in lines), f"{block.place}: each line begins with a blank, + or -"
    before = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
    return before, "".join(line[1:] or "\n" for line in lines if line[0] != "-")


async def run_page(path: Path, folder: Path) -> None:
    """Run everything on a page without JavaScript."""
    run_apart(path, folder)
    for number, program in enumerate(programs_of(blocks_of(path))):
        await run_program(program, folder / f"program{number}", None)


def run_apart(path: Path, folder: Path) -> None:
    """Run what does not belong to a program: tests, commands and data."""
    blocks = blocks_of(path)
    for number, block in enumerate(tests_of(blocks)):
        run_tests(block, folder / f"tests{number}")
    for block in blocks:
        check_text(block)


def check_text(block: Block) -> None:
    """Check a block that is no program; those of `CODE` are run elsewhere."""
    if block.language == "sh":
        for line in block.text.splitlines():
            try:
                check_line(line)
            except Exception as error:
                raise AssertionError(f"{block.place}: {line!r}: {error}") from error
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "yaml":
        yaml.safe_load(block.text)


def run_tests(block: Block, folder: Path) -> None:
    """Run a block of tests with pytest."""
    folder.mkdir()
    (folder / "test_example.py").write_text(block.text)
    words = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "pytest_asyncio.plugin",
        "-p",
        "no:cacheprovider",
        "-o",
        "asyncio_mode=auto",
    ]
    done = subprocess.run(
        [sys.executable, *words, "--rootdir", folder, folder / "test_example.py"],
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}:\n{done.stdout}{done.stderr}"


async def run_program(program: Program, folder: Path, browser: Browser | None) -> None:
    """Run a program alone, or an app with everything that is said to it."""
    write(program, folder)
    check_names(program, folder)
    if not program.is_app:
        run_alone(program, folder)
        return
    assert program.steps, f"{program.place}: nobody speaks with the app"
    async with running_app(folder) as app:
        await speak(program, app, browser)
    assert "Traceback" not in app.log, app.log
    assert "eyJ" not in app.log, f"a token is in the log:\n{app.log}"


def write(program: Program, folder: Path) -> None:
    """Put the program's files into a new folder."""
    folder.mkdir()
    for name, text in {"main.py": program.module, **program.files}.items():
        (folder / name).write_text(text)


def run_alone(program: Program, folder: Path) -> None:
    """Run a program that is no app; a warning counts as an error."""
    command = [sys.executable, "-W", "error", "main.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, f"{program.place}: {done.stderr}"


def check_names(program: Program, folder: Path) -> None:
    """At no block may the module use a name that comes only later."""
    paths = [folder / f"prefix{number}.py" for number in range(len(program.prefixes))]
    for path, text in zip(paths, program.prefixes, strict=True):
        path.write_text(text)
    command = [Path(sys.executable).with_name("ruff"), "check", "--isolated", "--select", "F821,F401", *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stdout


async def speak(program: Program, app: RunningApp, browser: Browser | None) -> None:
    """Play the conversations and the JavaScript of a program, in order."""
    page: BrowserPage | None = None

    async def the_page() -> BrowserPage:
        nonlocal page
        if page is None:
            assert browser is not None, "this page has JavaScript, and no browser was given"
            page = await BrowserPage.new(browser, app.url)
        return page

    known = {"TOKEN": Tokens(SECRET).issue("ada"), "API_KEY": API_KEY}
    known["EXPIRED"] = Tokens(SECRET).issue("ada", ttl=-3600)
    conversation = Conversation(app, known, the_page)
    for step in program.steps:
        try:
            async with asyncio.timeout(2 * DEADLINE):
                if step.language == "wire":
                    await conversation.play(step.text)
                else:
                    on_page = await the_page()
                    await on_page.open("/a-page-of-this-origin")
                    await on_page.run(step.text)
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"{step.place}: {error!r}: {error}") from error
    if page is not None:
        assert not page.errors, page.errors
        await page.close()
