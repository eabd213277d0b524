"""Holds the shape of src/hubbub: the length of files and functions, the names of files, what has a docstring.

The source is parsed, never imported. A broken rule is told with its file and line.
"""

import ast
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "misc"}
REPEATS = {"overload", "setter", "deleter"}  # documented where the name is first defined
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def source_files(root: Path) -> list[Path]:
    """The Python and JavaScript files of the package, below `root`."""
    return sorted(path for path in root.glob("src/hubbub/**/*") if path.suffix in {".py", ".js"})


def inside(path: Path) -> list[str]:
    """The folders and the name of a file below the package, without the suffix."""
    return path.with_suffix("").as_posix().rpartition("/src/hubbub/")[2].split("/")


def files_are_short(path: Path) -> Iterator[str]:
    """A file has at most LONGEST_FILE lines."""
    if (lines := len(path.read_text().splitlines())) > LONGEST_FILE:
        yield f"{lines}: {lines} lines; a file has at most {LONGEST_FILE}"


def functions_are_short(path: Path) -> Iterator[str]:
    """A function has at most LONGEST_FUNCTION lines, its docstring among them."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{node.lineno}: {node.name}: {lines} lines; a function has at most {LONGEST_FUNCTION}"


def names_say_what_is_inside(path: Path) -> Iterator[str]:
    """No file and no folder has a name that fits anything."""
    for part in inside(path):
        if part.strip("_").lower() in VAGUE_NAMES:
            yield f"1: the name {part!r} says nothing of what is inside"


def public_names_have_docstrings(path: Path) -> Iterator[str]:
    """Every module, class, function and method whose name does not begin with _ has a docstring."""
    if any(part.startswith("_") and not part.startswith("__") for part in inside(path)):
        return
    tree = parsed(path)
    if path.suffix == ".py" and ast.get_docstring(tree) is None:
        yield "1: the module has no docstring"
    for node in public_definitions(tree):
        if ast.get_docstring(node) is None:
            yield f"{node.lineno}: {node.name} has no docstring"


def parsed(path: Path) -> ast.Module:
    """The tree of a Python file; JavaScript has an empty one, only its length and name are looked at."""
    return ast.parse(path.read_text() if path.suffix == ".py" else "")


def public_definitions(parent: ast.AST) -> Iterator[Definition]:
    """The public classes and functions of a module, and the public methods of those classes."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.If | ast.Try):
            yield from public_definitions(node)
        elif isinstance(node, Definition) and not node.name.startswith("_"):
            if not any(ast.unparse(mark).split(".")[-1] in REPEATS for mark in node.decorator_list):
                yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node)


RULES: tuple[Callable[[Path], Iterator[str]], ...] = (
    files_are_short,
    functions_are_short,
    names_say_what_is_inside,
    public_names_have_docstrings,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Callable[[Path], Iterator[str]]) -> None:
    gc.collect()  # CPython 3.11 cannot parse while a finalizer of an earlier test warns, which parses too
    files = source_files(ROOT)
    assert files, "no source was found"
    broken = [f"{path.relative_to(ROOT)}:{said}" for path in files for said in rule(path)]
    assert not broken, "\n" + "\n".join(broken)


DOC = '"""Doc."""\n'
METHOD = DOC + "class A:\n    'Doc.'\n    def b(self): ...\n"
SETTER = DOC + "class A:\n    'Doc.'\n    @b.setter\n    def b(self): ...\n    def _c(self): ...\n"
LONG = "def long():\n" + "    pass\n" * 60


@pytest.mark.parametrize(
    ("rule", "name", "text", "said"),
    [
        (files_are_short, "hub.py", "#\n" * 401, "401: 401 lines; a file has at most 400"),
        (files_are_short, "js/a.js", "//\n" * 401, "401: 401 lines; a file has at most 400"),
        (files_are_short, "hub.py", "#\n" * 400, None),
        (functions_are_short, "hub.py", LONG, "1: long: 61 lines; a function has at most 60"),
        (functions_are_short, "hub.py", f"async {LONG}", "1: long: 61 lines; a function has at most 60"),
        (functions_are_short, "hub.py", LONG.replace("    pass\n", "", 1), None),
        (names_say_what_is_inside, "core/utils.py", "", "1: the name 'utils' says nothing of what is inside"),
        (
            names_say_what_is_inside,
            "_helpers/a.py",
            "",
            "1: the name '_helpers' says nothing of what is inside",
        ),
        (names_say_what_is_inside, "js/misc.js", "", "1: the name 'misc' says nothing of what is inside"),
        (names_say_what_is_inside, "core/frames.py", "", None),
        (public_names_have_docstrings, "__init__.py", "import json", "1: the module has no docstring"),
        (public_names_have_docstrings, "hub.py", DOC + "class Hub: ...", "2: Hub has no docstring"),
        (public_names_have_docstrings, "hub.py", DOC + "async def go(): ...", "2: go has no docstring"),
        (public_names_have_docstrings, "hub.py", DOC + "if x:\n def go(): ...", "3: go has no docstring"),
        (public_names_have_docstrings, "hub.py", METHOD, "4: b has no docstring"),
        (public_names_have_docstrings, "hub.py", SETTER, None),
        (public_names_have_docstrings, "_hub.py", "class Hub: ...", None),
        (public_names_have_docstrings, "js/a.js", "export {};", None),
    ],
)
def test_a_planted_file_is_judged_rightly(
    rule: Callable[[Path], Iterator[str]], name: str, text: str, said: str | None, tmp_path: Path
) -> None:
    planted = tmp_path / "src/hubbub" / name
    planted.parent.mkdir(parents=True)
    planted.write_text(text)
    assert source_files(tmp_path) == [planted]
    assert list(rule(planted)) == ([said] if said else [])
