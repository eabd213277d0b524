"""The pages of ``hubbub serve``: what is served, as what, and that nothing else is."""

import http.client
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from server_process import ServerProcess

import hubbub.server

PAGES = Path(hubbub.server.__file__).with_name("pages")
MODULES = Path(hubbub.__file__).with_name("js")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}


def get(server: ServerProcess, target: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """The answer to a request whose target goes out as it stands: clients for people would tidy it up."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()
    finally:
        connection.close()


def assets() -> list[str]:
    """The names of all files that pages may load, with their folders."""
    return sorted(path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*") if path.suffix in TYPES)


@pytest.mark.parametrize("path", ["/", "/chat"])
def test_a_page_is_html_that_may_run_nothing_but_its_own_files(served: ServerProcess, path: str) -> None:
    status, headers, body = get(served, path)
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    html = body.decode()
    assert html.lower().startswith("<!doctype html>")
    assert not re.search(r"<script(?![^>]*\bsrc=)", html), "a script in the page would not be run"
    assert not re.search(r"\son\w+=|javascript:|\sstyle=|<style", html), "the policy forbids it"


@pytest.mark.parametrize("path", ["/", "/chat"])
def test_everything_a_page_loads_and_links_to_is_there(served: ServerProcess, path: str) -> None:
    html = get(served, path)[2].decode()
    targets = set(re.findall(r'\b(?:src|href)="([^"]+)"', html))
    assert any(target.endswith(".js") for target in targets)
    assert any(target.endswith(".css") for target in targets)
    for target in targets:
        assert target.startswith("/"), f"{target} is not on this server"
        assert get(served, target)[0] == 200, target


def test_every_file_of_the_pages_is_served_as_what_it_is(served: ServerProcess) -> None:
    assert assets()
    for name in assets():
        status, headers, body = get(served, f"/static/{name}")
        assert status == 200, name
        assert headers["content-type"].split(";")[0] == TYPES[Path(name).suffix], name
        assert headers["x-content-type-options"] == "nosniff", name
        assert headers["content-security-policy"] == POLICY, name
        assert body == (PAGES / name).read_bytes(), name


def test_what_the_scripts_import_is_there(served: ServerProcess) -> None:
    imports = {
        urljoin(f"/static/{path.relative_to(PAGES).as_posix()}", target)
        for path in PAGES.rglob("*.js")
        for target in re.findall(r"""^import\s[^;]*?["']([^"']+)["'];""", path.read_text(), re.MULTILINE)
    }
    assert {"/hubbub.js", "/static/chat/elements.js", "/static/admin/elements.js"} <= imports
    for target in imports:
        assert get(served, target)[0] == 200, target


def test_the_browser_client_is_scripts_that_find_each_other(served: ServerProcess) -> None:
    seen, waiting = set(), {"/hubbub.js"}
    while waiting:
        seen.add(path := waiting.pop())
        status, headers, body = get(served, path)
        assert status == 200, path
        assert headers["content-type"] == "text/javascript; charset=utf-8"
        assert headers["x-content-type-options"] == "nosniff"
        imports = re.findall(r'^(?:import|export)\s[^;]*?"\./([\w./]+)";', body.decode(), re.MULTILINE)
        waiting |= {f"{path.rpartition('/')[0]}/{name}" for name in imports} - seen
    assert seen == {"/hubbub.js", *(f"/js/{module.name}" for module in MODULES.glob("*.js"))}


@pytest.mark.parametrize(
    "target",
    [
        "/static/../cli.py",
        "/static/..%2fcli.py",
        "/static/..%2Fcli.py",
        "/static/%2e%2e/cli.py",
        "/static/%2e%2e%2fcli.py",
        "/static/%252e%252e%252fcli.py",
        "/static/..%5ccli.py",
        "/static/../../../../../../../etc/passwd",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/./base.css/../../cli.py",
        "/static/..",
        "/static/.",
        "/static/",
        "/static",
        "/static/%00",
        "/static/base.css%00",
        "/static/base.css%20",
        "/static/BASE.CSS",
        "/static/home/home.html",
        "/static/chat/chat.html",
        "/static/chat",
        "/static/chat//chat.js",
        "/static/chat/../base.css",
        "/static/chat/%2e%2e/base.css",
        "/static/admin/../../cli.py",
        "/static/cli.py",
        "/static/*",
        "/static/%FF",
        "/static/" + "x" * 5_000,
        "/../pyproject.toml",
        "/%2e%2e/pyproject.toml",
        "/pages/home.html",
        "/js/types.d.ts",
        "/nowhere",
    ],
    ids=lambda target: target[:40],
)
def test_nothing_else_can_be_read(served: ServerProcess, target: str) -> None:
    status, _, body = get(served, target)
    assert (status, body) == (404, b'{"detail":"Not Found"}')


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_pages_can_only_be_read(served: ServerProcess, method: str) -> None:
    for path in ("/", "/chat", "/hubbub.js", "/static/base.css", "/health", "/chat/rooms"):
        assert get(served, path, method)[0] == 405, path


def test_a_browser_finds_an_icon_where_no_page_names_one(served: ServerProcess) -> None:
    status, headers, body = get(served, "/favicon.ico")
    assert (status, headers["content-type"]) == (200, "image/svg+xml")
    assert body == (PAGES / "icon.svg").read_bytes()


def test_health_says_ok_and_nothing_more(served: ServerProcess) -> None:
    status, headers, body = get(served, "/health")
    assert (status, body) == (200, b'{"status":"ok"}')
    assert headers["content-type"] == "application/json"
