"""The browser client stays small, and needs nothing of others."""

import re
from pathlib import Path

MODULES = sorted((Path(__file__).parents[2] / "src" / "hubbub" / "js").glob("*.js"))

MOST = 26_000
"""Bytes without comments and indentation. Minified, 25,700 of them were 14,100; 5,800 compressed."""

STRING = r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)"""
COMMENT = r"/\*.*?\*/|(?<![:\\])//[^\n]*"


def stripped(source: str) -> str:
    """The source without comments and indentation; names and blanks stay as long as they are."""
    without = re.sub(f"{STRING}|{COMMENT}", lambda found: found["text"] or "", source, flags=re.DOTALL)
    return "".join(line.strip() for line in without.splitlines())


def test_the_strippers_work_is_known() -> None:
    assert (
        stripped('/** a */ const a = "/* b */ //"; // c\n  let  b = 1;')
        == 'const a = "/* b */ //";let  b = 1;'
    )


def test_all_modules_together_are_small() -> None:
    assert len(MODULES) > 5
    size = sum(len(stripped(module.read_text()).encode()) for module in MODULES)
    assert size < MOST


def test_no_module_imports_from_elsewhere() -> None:
    for module in MODULES:
        imports = re.findall(r'^(?:import|export)\s[^;]*?from "([^"]+)";', module.read_text(), re.MULTILINE)
        names = {f"./{other.name}" for other in MODULES}
        assert set(imports) <= names, module.name
