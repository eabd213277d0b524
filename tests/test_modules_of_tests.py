"""Holds that any choice of tests runs together: their folders are on one path, and a name means one file."""

import re
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent
MODULES = [path for path in TESTS.rglob("*.py") if path.name != "conftest.py"]


def test_no_two_modules_have_one_name() -> None:
    assert [name for name, count in Counter(path.name for path in MODULES).items() if count > 1] == []


def test_nothing_is_imported_from_a_conftest() -> None:
    # Each folder may have one, and which of them the name means depends on what else runs.
    imports = re.compile(r"^\s*(from|import) conftest\b", re.MULTILINE)
    assert [path.name for path in TESTS.rglob("*.py") if imports.search(path.read_text())] == []
