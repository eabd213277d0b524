"""Holds what a stranger relies on in the checkout: the licence, the pins, the version, and the commands."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hubbub

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = (ROOT / "constraints.txt").read_text().splitlines()
SCRIPTS = [
    ROOT / ".ci/run",
    *sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file() and path.suffix != ".toml"),
]

REGISTRY = re.compile(r"https?://[^\s/]*(?:pypi|pythonhosted|npmjs|debian|registry)", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![\w.}*-])/(?:work|root|home|Users)/[\w.-]+")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def repository_files() -> list[Path]:
    """The text files that are or may be committed; those of the source folders where git cannot tell."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
        names = done.stdout.split("\0") if done.returncode == 0 else []
    except FileNotFoundError:
        names = []
    folders = ("src", "tests", "scripts", "docs", "examples", "benchmarks")
    found = [ROOT / name for name in names if name] or [p for f in folders for p in (ROOT / f).rglob("*")]
    return [path for path in found if path.is_file() and b"\0" not in path.read_bytes()]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Each line of the repository in which the pattern is found, with its file and number."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in repository_files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_the_licence_is_mit_and_names_the_authors() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License\n\nCopyright (c) 2026 The Hubbub authors\n")
    assert PROJECT["license"] == "MIT"


def test_every_pin_is_one_exact_version_and_nothing_else() -> None:
    odd = [line for line in PINS if not re.fullmatch(r"[a-z0-9-]+==[0-9][\w.+!]*( ; [^@]+)?", line)]
    assert odd == []
    names = [line.partition("==")[0] for line in PINS]
    assert names == sorted(set(names)), "the pins are sorted, each name once"
    assert "hubbub" not in names


def test_every_dependency_has_a_pin_that_fits() -> None:
    pins = dict(line.partition(" ;")[0].split("==") for line in PINS)
    extras = [one for some in PROJECT["optional-dependencies"].values() for one in some]
    wanted = [Requirement(one) for one in [*PROJECT["dependencies"], *extras]]
    missing = [str(one) for one in wanted if one.name != "hubbub" and not fits(one, pins)]
    assert missing == [], "run: make pin"


def fits(wanted: Requirement, pins: dict[str, str]) -> bool:
    return wanted.specifier.contains(pins.get(canonicalize_name(wanted.name), "0"), prereleases=True)


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    found = re.search(r"^## \[?v?(\d+\.\d+[^\s\]]*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found, "CHANGELOG.md has no heading like '## 0.1.0'"
    assert found[1] == hubbub.__version__


@pytest.mark.parametrize("pattern", [REGISTRY, MACHINE_PATH, PRIVATE_KEY], ids=["registry", "path", "key"])
def test_no_file_holds_a_registry_address_a_machine_path_or_a_key(pattern: re.Pattern[str]) -> None:
    assert repository_files(), "no files were found"
    assert lines_with(pattern) == []


def test_the_patterns_find_what_they_are_for() -> None:
    assert REGISTRY.search("index-url = https:" + "//pypi.example/simple")
    assert MACHINE_PATH.search('open("' + "/home" + '/someone/file")')
    assert PRIVATE_KEY.search("-----BEGIN RSA " + "PRIVATE KEY-----")
    assert not MACHINE_PATH.search("https://example.com" + "/home" + "/page")


def test_every_command_of_the_makefile_can_be_run() -> None:
    text = (ROOT / "Makefile").read_text()
    for path in SCRIPTS:
        assert path.stat().st_mode & 0o111, f"{path.name} is not executable"
    assert set(re.findall(r"scripts/(\w+)\s", text)) <= {path.name for path in SCRIPTS}
    described = set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony
    assert described == set(phony[1].split()), "every target has a line of help"


def test_what_make_test_leaves_out_is_run_by_make_system_and_both_by_ci() -> None:
    told = subprocess.run(
        ["make", "--dry-run", "--always-make", "test", "system", "PYTEST=-n 2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    of_test, of_system = re.findall(r"python -m pytest (.+) -n 2", told.stdout)
    left_out = [word.removeprefix("--ignore=") for word in of_test.split()]
    assert left_out == of_system.split()
    assert all((ROOT / folder).is_dir() for folder in left_out)
    assert re.findall(r"^step make --no-print-directory (.+)$", (ROOT / ".ci/run").read_text(), re.M) == [
        "lint",
        "types",
        "test",
        "system",
    ]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_written_without_a_slip(path: Path) -> None:
    text = path.read_text()
    if text.startswith("#!/usr/bin/env bash\n"):
        assert "set -euo pipefail" in text
        subprocess.run(["bash", "-n", path], check=True)
    else:
        assert text.startswith("#!/usr/bin/env python3\n")
        compile(text, str(path), "exec")
