"""Every code block of README.md and docs/ runs, and every link leads somewhere."""

import re
from pathlib import Path

import pytest
from document_blocks import ROOT, Block, blocks_of, pages, prose_of
from document_runner import CODE, Program, programs_of, run_apart, run_page, run_program, sides
from document_shell import check_line
from playwright.async_api import Browser

in_the_loop_of_the_browser = pytest.mark.asyncio(loop_scope="session")

CHECKED = CODE | {"sh", "json", "toml", "yaml", "nginx", "caddyfile", "ini", "text"}
"""The languages that something here handles. ``text`` is for pictures made of letters alone; the three before
it are parts of the files in deploy/, whose own tests start what they are for."""


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


PROGRAMS = [program for path in pages() for program in programs_of(blocks_of(path))]


@pytest.mark.parametrize("path", pages(), ids=named)
def test_the_tests_commands_and_data_of_the_page_hold(path: Path, tmp_path: Path) -> None:
    run_apart(path, tmp_path)


@pytest.mark.parametrize(
    "program", [one for one in PROGRAMS if not one.needs_browser], ids=lambda one: one.place
)
async def test_the_program_runs_and_answers_as_the_page_says(program: Program, tmp_path: Path) -> None:
    await run_program(program, tmp_path / "program", None)


@pytest.mark.parametrize("program", [one for one in PROGRAMS if one.needs_browser], ids=lambda one: one.place)
@in_the_loop_of_the_browser
async def test_the_program_and_its_javascript_run_as_the_page_says(
    program: Program, tmp_path: Path, browser: Browser
) -> None:
    await run_program(program, tmp_path / "program", browser)


def test_every_block_has_a_language_that_is_checked() -> None:
    odd = [f"{block.place} {block.language!r}" for path in pages() for block in blocks_of(path)]
    odd = [name for name in odd if name.split("'")[1] not in CHECKED]
    assert odd == []


def test_no_fence_is_left_open_or_written_in_another_way() -> None:
    odd = [
        f"{named(path)}: {line}" for path in pages() for line in prose_of(path).splitlines() if "```" in line
    ]
    odd += [
        f"{named(path)}: {line}" for path in pages() for line in prose_of(path).splitlines() if "~~~" in line
    ]
    assert odd == []


def test_the_pages_were_read() -> None:
    languages = {block.language for path in pages() for block in blocks_of(path)}
    assert languages >= CODE | {"sh", "json", "toml"}
    assert {path for path in pages() if any(p.place.startswith(named(path)) for p in PROGRAMS)} >= {
        ROOT / "README.md",
        ROOT / "docs/tutorial.md",
        ROOT / "docs/from-connection-manager.md",
    }


def test_every_link_within_the_repository_leads_somewhere() -> None:
    broken = []
    for path in pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(path)):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            there = (path.parent / file).resolve() if file else path
            if not there.exists() or (anchor and anchor not in anchors(there)):
                broken.append(f"{named(path)}: {target}")
    assert broken == []


def anchors(path: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_reached_from_the_readme() -> None:
    reached, new = set(), {ROOT / "README.md"}
    while new:
        reached |= new
        targets = {
            (path.parent / target.partition("#")[0]).resolve()
            for path in new
            for target in re.findall(r"\]\(([^)\s:]+)\)", prose_of(path))
        }
        new = {path for path in targets if path.suffix == ".md" and path.exists()} - reached
    assert [named(path) for path in pages() if path not in reached] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("make fly", "no target fly"),
        ("make run HOST=a", "takes no HOST"),
        ("pip install hubbub[rockets]", "no such extra"),
        ("pip install hubub", "not ours"),
        ("hubbub fly", "no command fly"),
        ("hubbub serve --fly", "No such option"),
        ("uvicorn main:app --fly", "No such option"),
        ("HUBBUB_FLY=1 make run", "nothing reads HUBBUB_FLY"),
        ("rm -r x", "no check for the command rm"),
    ],
)
def test_a_wrong_command_is_noticed(line: str, said: str) -> None:
    with pytest.raises(Exception, match=said):
        check_line(line)


def test_a_diff_is_taken_apart_into_both_sides() -> None:
    block = Block(ROOT / "README.md", 1, "diff", " same\n-old\n+new\n")
    assert sides(block) == ("same\nold\n", "same\nnew\n")


PAGE = """```python
from fastapi import FastAPI, WebSocket

from hubbub import Hub

hub = Hub()
app = FastAPI(lifespan=hub.lifespan)


@app.websocket("/ws")
async def echo(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        async for text in me.iter_text():
            await me.send(f"Echo: {text}")
```

```wire
ada connects /ws
ada -> hello
ada <- %s
```
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PAGE % "Ecco: hello", "came 'Echo: hello'"),
        (PAGE % "Echo: hello\nada is closed 1008", "TimeoutError"),
        (PAGE % "Echo: hello\nada jumps", "no line of a conversation"),
        (PAGE.replace("hub = Hub()", "hub = Hbu()") % "Echo: hello", "F821"),
        (PAGE.partition("```wire")[0], "nobody speaks with the app"),
        ("```python\nassert False\n```\n", "AssertionError"),
        ("```python\nasync def test_it():\n    assert False\n```\n", "1 failed"),
        ("```json\n{\n```\n", "property name"),
        ("```diff\n-a = 1\n+a = 2\n```\n", "list index out of range"),
    ],
    ids=["answer", "silence", "line", "name", "nobody", "program", "test", "json", "diff"],
)
async def test_a_page_that_does_not_hold_is_noticed(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if said == "TimeoutError":
        monkeypatch.setattr("document_wire.DEADLINE", 1.0)
    page = tmp_path / "page.md"
    page.write_text(text)
    monkeypatch.setattr("document_blocks.ROOT", tmp_path)
    with pytest.raises(Exception, match=re.escape(said)):
        await run_page(page, tmp_path)


async def test_a_page_that_holds_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("document_blocks.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(PAGE % "Echo: hello\nada leaves")
    await run_page(page, tmp_path)
