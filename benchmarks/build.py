"""Builds the two C programs, load generator and floor, into the cache folder when a source has changed."""

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.places import CACHE, NATIVE

SHARED = ("reader.c", "wire.c")
SOURCES = {
    "loadgen": (
        "loadgen.c",
        "traffic.c",
        "client.c",
        "upgrade.c",
        "ledger.c",
        "histogram.c",
        "options.c",
        *SHARED,
    ),
    "floor": ("floor.c", *SHARED),
}
FLAGS = ("-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror")


class BuildError(Exception):
    """A C program could not be built; the text is the compiler's."""


def build(program: str) -> Path:
    """Returns the path of the built program (`loadgen` or `floor`). Raises BuildError."""
    target = CACHE / program
    sources = [NATIVE / name for name in SOURCES[program]]
    newest = max(path.stat().st_mtime for path in NATIVE.iterdir())
    if target.exists() and target.stat().st_mtime > newest:
        return target
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise BuildError("no C compiler found: install gcc or clang")
    CACHE.mkdir(exist_ok=True)
    # Built beside and moved: two runs at the same time must not see half a program.
    partial = CACHE / f"{program}.{os.getpid()}.partial"
    command = [compiler, *FLAGS, "-o", str(partial), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(done.stderr)
    partial.replace(target)
    return target
