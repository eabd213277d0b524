"""The official JavaScript SDK and the tools for our client, installed once for each `package.json`."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

PACKAGE = Path(__file__).parent / "gateway" / "node" / "package.json"


def not_run(reason: str) -> NoReturn:
    """In CI this has to run; elsewhere there may be no Node, or no whole browser."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def installed_sdk() -> Path:
    """A folder with them; scripts that are put there find the SDK. Skips where there is no npm."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        not_run("there is no node or no npm")
    wanted = PACKAGE.read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hubbub-tests"
    folder = cache / f"node-{hashlib.sha256(wanted).hexdigest()[:16]}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _install(folder, wanted)
    return folder


def _install(folder: Path, package: bytes) -> None:
    options = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
    with tempfile.TemporaryDirectory(dir=folder.parent) as around:
        fresh = Path(around) / "fresh"
        fresh.mkdir()
        (fresh / "package.json").write_bytes(package)
        npm = subprocess.run(
            ["npm", "install", *options], cwd=fresh, capture_output=True, text=True, timeout=50, check=False
        )
        if npm.returncode:
            not_run(f"npm could not install what the tests need: {npm.stderr[-500:]}")
        with contextlib.suppress(OSError):  # another test process may have been faster
            fresh.rename(folder)  # at once: nobody finds a half of it


def tool(name: str, *arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a tool of that folder, which ends by itself."""
    command = [str(installed_sdk() / "node_modules/.bin" / name), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=50, check=False)
