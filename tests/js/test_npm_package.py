"""The modules are a package for npm as they are, with types that hold."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from node_sdk import installed_sdk, tool

import hubbub

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "src" / "hubbub" / "js"
STRICT = {
    **{"strict": True, "noEmit": True, "noUnusedLocals": True, "noUnusedParameters": True},
    **{"allowJs": True, "checkJs": True, "target": "es2023", "lib": ["es2023", "dom", "dom.iterable"]},
    "types": [],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packed package installed, the programs that use it, and the modules beside them."""
    installed_sdk()
    folder = tmp_path_factory.mktemp("project")
    packed = subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", str(folder)],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    package = folder / "node_modules" / "hubbub.js"
    with tarfile.open(folder / packed.stdout.strip()) as archive:
        archive.extractall(folder, filter="data")
    package.parent.mkdir()
    (folder / "package").rename(package)
    shutil.copytree(FOLDER, folder / "modules")
    for name in ("typed_usage.ts", "real_classes.ts"):
        shutil.copy(HERE / name, folder)
    return folder


def test_npm_packs_the_modules_and_their_types(project: Path) -> None:
    package = project / "node_modules" / "hubbub.js"
    assert {path.name for path in package.iterdir()} == {path.name for path in FOLDER.iterdir()}
    facts = json.loads((package / "package.json").read_text())
    assert facts["version"] == hubbub.__version__
    assert facts["license"] == "MIT"
    assert facts["sideEffects"] is False
    assert not {name for name in facts if name.endswith("ependencies")}


def test_node_finds_the_packages_exports(project: Path) -> None:
    script = 'import * as hubbub from "hubbub.js"; console.log(Object.keys(hubbub).join())'
    node = subprocess.run(
        ["node", "--input-type=module", "-e", script], cwd=project, capture_output=True, text=True, timeout=50
    )
    assert node.stdout.strip() == "Hub,ReconnectingWebSocket,Room", node.stderr


@pytest.mark.parametrize(
    ("module", "resolution", "programs"),
    [
        ("nodenext", "nodenext", ["typed_usage.ts"]),
        ("esnext", "bundler", ["typed_usage.ts"]),
        ("nodenext", "nodenext", ["modules/hubbub.js", "real_classes.ts"]),
    ],
)
def test_the_types_hold(project: Path, module: str, resolution: str, programs: list[str]) -> None:
    options = {**STRICT, "module": module, "moduleResolution": resolution}
    config = project / f"tsconfig-{resolution}-{len(programs)}.json"
    config.write_text(json.dumps({"compilerOptions": options, "files": programs}))
    tsc = tool("tsc", "-p", str(config), cwd=project)
    assert tsc.returncode == 0, tsc.stdout
