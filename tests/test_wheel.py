"""What is installed from a wheel is what is in the checkout: the pages, the browser client, the types."""

import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=50)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def text_of(wheel: zipfile.ZipFile, name: str) -> str:
    """A file of the wheel's own."""
    (path,) = (one for one in wheel.namelist() if one.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def test_every_file_of_the_package_is_in_it_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    package = ROOT / "src"
    files = {path.relative_to(package).as_posix() for path in package.glob("hubbub/**/*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == files
    assert {"hubbub/py.typed", "hubbub/js/hubbub.js", "hubbub/server/pages/chat/chat.html"} <= files


def test_its_extras_and_its_command_are_those_of_the_project(wheel: zipfile.ZipFile) -> None:
    metadata = Parser().parsestr(text_of(wheel, "METADATA"))
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    always = [one for one in metadata.get_all("Requires-Dist") if "extra ==" not in one]
    assert len(always) == len(PROJECT["dependencies"])
    assert "hubbub = hubbub.server.start:main" in text_of(wheel, "entry_points.txt")
