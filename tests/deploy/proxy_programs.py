"""nginx and Caddy with the files of deploy/, of which only addresses, ports and paths are changed."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from node_sdk import not_run
from ports import free_port
from server_process import ROOT
from websockets.asyncio.client import connect

DEPLOY = ROOT / "deploy"
NAME = "hub.example.com"
START_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """A proxy that runs: where it is, and how a client gets in."""

    port: int
    tls: ssl.SSLContext

    @property
    def origin(self) -> str:
        """The origin of the pages behind it."""
        return f"https://{NAME}:{self.port}"

    def secret(self, text: str) -> str:
        """Nothing is looked for in logs."""
        return text

    def socket(self, path: str, source: str = "127.0.0.1", **options: object) -> connect:
        """A WebSocket through the proxy, from an address of this machine."""
        return connect(
            f"wss://{NAME}:{self.port}{path}",
            host="127.0.0.1",
            port=self.port,
            local_addr=(source, 0),
            ssl=self.tls,
            proxy=None,
            open_timeout=10,
            **options,
        )

    def http(self, **options: object) -> httpx.AsyncClient:
        """A client for HTTP through the proxy; the name is looked up nowhere."""
        transport = _Here(httpx.AsyncHTTPTransport(verify=self.tls), self.port)
        return httpx.AsyncClient(base_url=self.origin, transport=transport, **options)


class _Here(httpx.AsyncBaseTransport):
    """Sends requests for the name to this machine."""

    def __init__(self, inner: httpx.AsyncHTTPTransport, port: int) -> None:
        self._inner = inner
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        request.extensions["sni_hostname"] = NAME
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def program(name: str) -> str:
    """The path of a program; where it is not installed the test says that it was not run."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        not_run(f"NOT RUN: deploy/ with the real {name}, which is not installed (scripts/programs)")
    return path


def replaced(text: str, changes: dict[str, str]) -> str:
    """The text with each of these put in the place of another, all of which must be there."""
    for old, new in changes.items():
        assert old in text, f"nothing to change: {old!r}"
        text = text.replace(old, new)
    return text


@contextmanager
def nginx(folder: Path, nodes: Sequence[int]) -> Iterator[FrontDoor]:
    """nginx with `hubbub.conf`, passing on to these ports."""
    port, certificate, key = free_port(), *certificate_of(folder)
    changes = {
        "10.0.0.11:8000": f"127.0.0.1:{nodes[0]}",
        "10.0.0.12:8000": f"127.0.0.1:{nodes[1]}",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/hub.example.com/fullchain.pem": str(certificate),
        "/etc/ssl/hub.example.com/privkey.pem": str(key),
        "/var/log/nginx/hubbub.log": str(folder / "access.log"),
    }
    main = nginx_configuration(folder, replaced((DEPLOY / "nginx/hubbub.conf").read_text(), changes))
    command = [program("nginx"), "-p", str(folder), "-c", str(main), "-e", str(folder / "proxy.log")]
    with _running(command, folder, port, certificate) as door:
        yield door


def nginx_configuration(folder: Path, site: str) -> Path:
    """A whole configuration around a site, as a package has one in /etc/nginx."""
    (folder / "site.conf").write_text(site)
    shutil.copy(DEPLOY / "nginx/hubbub-locations.conf", folder)
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{one}_temp_path {folder}/{one};\n" for one in places)
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}include site.conf;\n}}\n"
    )
    return main


@contextmanager
def caddy(folder: Path, nodes: Sequence[int]) -> Iterator[FrontDoor]:
    """Caddy with the Caddyfile, passing on to these ports, with a certificate of the tests."""
    port, certificate, key = free_port(), *certificate_of(folder)
    changes = {
        "10.0.0.11:8000": f"127.0.0.1:{nodes[0]}",
        "10.0.0.12:8000": f"127.0.0.1:{nodes[1]}",
        f"\n{NAME} {{": f"\nhttps://{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}",
    }
    options = f"{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {folder}\n}}\n"
    file = folder / "Caddyfile"
    file.write_text(options + replaced((DEPLOY / "caddy/Caddyfile").read_text(), changes))
    command = [program("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]
    with _running(command, folder, port, certificate) as door:
        yield door


PROXIES = {"nginx": nginx, "caddy": caddy}


def certificate_of(folder: Path) -> tuple[Path, Path]:
    """A certificate for the name, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    command = ["openssl", "req", *kind, *names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@contextmanager
def _running(command: Sequence[str], folder: Path, port: int, certificate: Path) -> Iterator[FrontDoor]:
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "output").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=home)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _listens(port):
            assert process.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < deadline, (folder / "output").read_text()
            time.sleep(0.02)
        yield FrontDoor(port, ssl.create_default_context(cafile=str(certificate)))
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def seconds_of(text: str, directive: str) -> float:
    """The value of a time in a configuration."""
    found = re.search(rf"^\s*{directive} (\d+)s\b", text, re.MULTILINE)
    assert found, directive
    return float(found[1])
