"""Which parts of ``hubbub serve`` are where: the public port, the operator port, or nowhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from ports import free_port
from server_process import HUBBUB, ServerProcess, running
from socket_client import opened, rejected

from hubbub.server.cli import main
from hubbub.server.exposure import Place, exposures
from hubbub.server.settings import Settings

SECRET = "test-secret-0123456789-abcdefghijklm"
KEY = "test-api-key-0123456789-abcdefghijkl"
GIVEN = {"HUBBUB_SECRET": SECRET, "HUBBUB_API_KEY": KEY}
API = {"X-API-Key": KEY}


class TwoPorts:
    """A server with a port for operators."""

    def __init__(self, server: ServerProcess, operator_port: int) -> None:
        self.server = server
        self.public = server.origin
        self.operator = f"http://127.0.0.1:{operator_port}"
        self.operator_port = operator_port


@contextmanager
def serving(folder: Path, *options: str, **given: str) -> Iterator[TwoPorts]:
    """A server with an operator port, and without plain rooms."""
    port = free_port()
    command = [*HUBBUB, "serve", "--drain", "0", "--no-plain-rooms", "--operator-port", str(port), *options]
    with running(command, folder / "log", {**GIVEN, **given}) as server:
        yield TwoPorts(server, port)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoPorts]:
    with serving(tmp_path_factory.mktemp("two")) as two:
        yield two


def status(url: str, method: str = "GET", **request: Any) -> int:
    """What a request on a connection of its own is answered. Workers may be starting still."""
    return httpx.request(method, url, timeout=60, **request).status_code


def test_every_worker_answers_on_both_ports_as_it_should(tmp_path: Path) -> None:
    broker = f"embedded://{tmp_path}/valkey"
    with serving(tmp_path, "--workers", "2", "--broker", broker) as two:
        for _ in range(6):  # each may come to another worker
            assert status(f"{two.operator}/api/info", "POST", headers=API, json={}) == 200
            assert status(f"{two.public}/api/info", "POST", headers=API, json={}) == 404
        wait_until_both_are_measured(two)


def wait_until_both_are_measured(two: TwoPorts) -> None:
    """The other one may be starting still."""
    deadline = time.monotonic() + 20
    while "hubbub_processes 2.0" not in httpx.get(f"{two.operator}/metrics", timeout=60).text:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_api_is_on_the_operator_port_alone(two: TwoPorts) -> None:
    assert status(f"{two.operator}/api/info", "POST", headers=API, json={}) == 200
    assert status(f"{two.public}/api/info", "POST", headers=API, json={}) == 404


def test_the_docs_are_on_the_operator_port_alone_and_are_about_both(two: TwoPorts) -> None:
    for path in ("/docs", "/openapi.json"):
        assert status(two.operator + path) == 200
        assert status(two.public + path) == 404
    paths = httpx.get(f"{two.operator}/openapi.json").json()["paths"]
    assert {"/chat/rooms", "/health"} <= paths.keys()


def test_what_is_for_everybody_is_not_on_the_operator_port(two: TwoPorts) -> None:
    for path in ("/", "/chat", "/chat/rooms"):
        assert status(two.public + path) == 200, path
        assert status(two.operator + path) == 404, path


def test_the_admin_page_is_on_the_operator_port_alone_with_the_files_that_it_loads(two: TwoPorts) -> None:
    assert status(f"{two.operator}/admin/api/session") == 401
    assert status(f"{two.public}/admin/api/session") == 404
    assert status(f"{two.public}/admin") == 404
    for path in ("/admin", "/static/admin/admin.js", "/static/base.css", "/hubbub.js", "/js/reconnecting.js"):
        assert status(two.operator + path) == 200, path


def test_both_ports_answer_whether_the_server_lives(two: TwoPorts) -> None:
    for path in ("/health", "/ready"):
        assert status(two.public + path) == 200
        assert status(two.operator + path) == 200


def test_no_header_opens_the_operator_port_to_a_public_client(two: TwoPorts) -> None:
    claim = {"Host": f"127.0.0.1:{two.operator_port}", "X-Forwarded-Port": str(two.operator_port), **API}
    assert status(f"{two.public}/api/info", "POST", headers=claim, json={}) == 404
    absolute = httpx.Request("POST", f"{two.public}/api/info", headers=claim, json={})
    absolute.extensions = {"target": f"{two.operator}/api/info".encode()}
    with httpx.Client(timeout=20) as client:
        assert client.send(absolute).status_code != 200


def test_a_part_that_is_switched_off_is_not_there_and_not_on_the_home_page(two: TwoPorts) -> None:
    page = httpx.get(two.public).text
    assert "/ws/room" not in page
    assert 'href="/docs"' not in page
    assert 'href="/chat"' in page


async def test_its_plain_rooms_are_not_there(two: TwoPorts) -> None:
    assert await rejected(two.server, "/ws/room/general") == 403
    async with opened(two.server, "/chat/general?username=ada"):
        pass


def test_the_commands_find_the_api_on_the_operator_port(two: TwoPorts) -> None:
    given = {**GIVEN, "HUBBUB_PORT": str(two.server.port), "HUBBUB_OPERATOR_PORT": str(two.operator_port)}
    answer = CliRunner().invoke(main, ["pub", "chat:general", '{"text": "hi"}'], env=given)
    assert answer.exit_code == 0, answer.output


def test_the_start_tells_where_the_docs_are(two: TwoPorts) -> None:
    assert f"API docs  {two.operator}/docs" in two.server.log()


def test_docs_and_metrics_are_not_there_for_visitors_of_a_proxy_beside_the_server(
    served: ServerProcess,
) -> None:
    visitor = {"X-Forwarded-For": "203.0.113.7"}
    for path in ("/docs", "/openapi.json", "/metrics"):
        assert status(served.origin + path) == 200, path
        assert status(served.origin + path, headers=visitor) == 404, path
    assert status(served.origin + "/chat", headers=visitor) == 200


@pytest.mark.parametrize(
    ("settings", "local"),
    [
        (Settings(), True),
        (Settings(docs=True, metrics=True), False),
        (Settings(operator_port=9), False),
        (Settings(metrics_key=(KEY,), docs=True), False),
    ],
)
def test_who_is_shown_docs_and_metrics_on_this_machine(settings: Settings, local: bool) -> None:
    found = exposures(settings)
    assert {found[name].local for name in ("docs", "metrics")} == {local}


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (Settings(), {"chat", "plain_rooms", "api", "docs", "metrics", "admin"}),
        (Settings(host="0.0.0.0"), {"chat", "plain_rooms", "api"}),
        (Settings(host="0.0.0.0", metrics_key=(KEY,)), {"chat", "plain_rooms", "api", "metrics"}),
        (Settings(host="0.0.0.0", admin_key=(KEY,)), {"chat", "plain_rooms", "api", "admin"}),
        (
            Settings(host="0.0.0.0", docs=True, metrics=True),
            {"chat", "plain_rooms", "api", "docs", "metrics"},
        ),
        (Settings(api=False, docs=False, metrics=False, admin=False), {"chat", "plain_rooms"}),
        (Settings(chat=False, plain_rooms=False, metrics=False, admin=False), {"api", "docs"}),
        (Settings(host="0.0.0.0", operator_port=9), {"chat", "plain_rooms"}),
    ],
)
def test_what_a_public_address_shows_is_what_somebody_chose(settings: Settings, shown: set[str]) -> None:
    found = exposures(settings)
    assert {name for name, one in found.items() if one.place is Place.PUBLIC} == shown


def test_an_operator_port_that_others_can_reach_shows_no_more_than_a_public_one() -> None:
    found = exposures(Settings(operator_port=9, operator_host="0.0.0.0"))
    assert {name for name, one in found.items() if one.place is Place.OPERATOR} == {"api"}
    assert "metrics_key" in found["metrics"].why
    found = exposures(Settings(host="0.0.0.0", operator_port=9))
    assert {name for name, one in found.items() if one.place is Place.OPERATOR} == {
        "api",
        "docs",
        "metrics",
        "admin",
    }
