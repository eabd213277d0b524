"""The browser client stays small, and needs nothing of others."""

import json
import re
from pathlib import Path

import httpx
from fastapi import FastAPI
from node_sdk import tool

from hubbub.server.pages import router

FOLDER = Path(__file__).parents[2] / "src" / "hubbub" / "js"
MODULES = {path.name: path for path in FOLDER.glob("*.js")}

MOST = 12 * 1024
"""Bytes of all modules in one, as `esbuild --bundle --minify --format=esm hubbub.js` makes it."""

IMPORT = r'^(?:import|export)\s[^;]*?from "([^"]+)";'


def test_all_modules_together_have_less_than_twelve_kilobytes(tmp_path: Path) -> None:
    bundle, facts = tmp_path / "hubbub.min.js", tmp_path / "facts.json"
    options = ("--bundle", "--minify", "--format=esm", f"--outfile={bundle}", f"--metafile={facts}")
    esbuild = tool("esbuild", "hubbub.js", *options, cwd=FOLDER)
    assert esbuild.returncode == 0, esbuild.stderr
    size = bundle.stat().st_size
    print(f"hubbub.js: {size} bytes minified")
    assert 6_000 < size < MOST
    assert set(json.loads(facts.read_text())["inputs"]) == MODULES.keys(), "measured is all there is"


async def test_a_server_serves_the_modules_that_were_measured() -> None:
    app = FastAPI()
    app.include_router(router)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://hub", verify=False
    ) as http:
        served: dict[str, bytes] = {}
        waiting = ["/hubbub.js"]
        while waiting:
            address = waiting.pop()
            answer = await http.get(address)
            assert answer.status_code == 200, address
            served[address] = answer.content
            named = [str(answer.url.join(name).path) for name in imports(answer.text)]
            waiting += [one for one in named if one not in served]
    assert imports(served.pop("/hubbub.js").decode()) == ["./js/hubbub.js"]
    assert served == {f"/js/{name}": path.read_bytes() for name, path in MODULES.items()}


def imports(module: str) -> list[str]:
    return re.findall(IMPORT, module, re.MULTILINE)


def test_no_module_imports_from_elsewhere() -> None:
    assert len(MODULES) > 5
    for path in MODULES.values():
        assert set(imports(path.read_text())) <= {f"./{name}" for name in MODULES}, path.name
