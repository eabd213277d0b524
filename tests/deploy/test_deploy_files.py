"""The files of deploy/: what can be said of them without Docker and without an init system."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from node_sdk import not_run
from proxy_programs import DEPLOY, nginx_configuration, program, replaced, seconds_of
from server_process import HUBBUB, ROOT
from uvicorn.config import Config

from hubbub import Heartbeat
from hubbub.server.configuration import IN_THE_ENVIRONMENT
from hubbub.server.settings import MAX_DRAIN
from hubbub.uvicorn.runner import EXIT_TIME

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = (DEPLOY / "compose.yaml").read_text()
UNIT = (DEPLOY / "systemd/hubbub.service").read_text()
NGINX = (DEPLOY / "nginx/hubbub.conf").read_text()
LOCATIONS = (DEPLOY / "nginx/hubbub-locations.conf").read_text()
CADDYFILE = (DEPLOY / "caddy/Caddyfile").read_text()


def test_a_proxy_waits_longer_than_a_silent_client_is_believed_in() -> None:
    longest = Heartbeat().interval + Heartbeat().timeout
    assert seconds_of(LOCATIONS, "proxy_read_timeout") > longest
    assert seconds_of(LOCATIONS, "proxy_send_timeout") > longest
    assert "read_timeout" not in CADDYFILE, "Caddy has none for a WebSocket, unless one is set"


def test_a_proxy_gives_up_an_idle_connection_before_the_node_does() -> None:
    node = Config("main:app").timeout_keep_alive
    assert seconds_of(NGINX, "keepalive_timeout") < node
    assert seconds_of(CADDYFILE, "keepalive") < node


def test_whoever_stops_a_node_waits_until_it_ends_by_itself() -> None:
    assert EXIT_TIME > MAX_DRAIN
    assert float(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.M)[0]) > EXIT_TIME
    assert float(re.findall(r"stop_grace_period: (\d+)s", COMPOSE)[0]) > EXIT_TIME


def test_what_the_page_shows_of_the_files_is_in_them() -> None:
    files = {
        "nginx": NGINX + LOCATIONS,
        "caddyfile": CADDYFILE,
        "ini": UNIT,
    }
    page = (ROOT / "docs/how-to/deploy.md").read_text()
    shown = re.findall(r"^```(nginx|caddyfile|ini)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert {language for language, _ in shown} == set(files)
    assert [text for language, text in shown if text not in files[language]] == []
    linked = set(re.findall(r"\]\(\.\./\.\./(deploy/[^)]+)\)", page))
    for name in (
        "Dockerfile",
        "compose.yaml",
        "systemd/hubbub.service",
        "nginx/hubbub.conf",
        "caddy/Caddyfile",
    ):
        assert f"deploy/{name}" in linked


def test_every_setting_that_the_files_give_is_one() -> None:
    given = {name for text in (DOCKERFILE, COMPOSE, UNIT) for name in re.findall(r"\bHUBBUB_[A-Z_]+", text)}
    assert given <= set(IN_THE_ENVIRONMENT)


def test_every_file_that_the_image_copies_is_there_and_so_is_every_extra() -> None:
    copied = [one for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.M) for one in line.split()]
    assert copied
    assert [one for one in copied if not (ROOT / one).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.findall(r'"\.\[(.+)\]"', DOCKERFILE)[0].split(",")
    assert set(extras) <= set(project["optional-dependencies"])


def test_the_image_runs_as_an_ordinary_user_and_hears_signals_itself() -> None:
    users = re.findall(r"^USER (\d+)$", DOCKERFILE, re.M)
    assert users
    assert int(users[-1]) > 0
    assert 'ENTRYPOINT ["hubbub"]' in DOCKERFILE, "a shell before it would not pass SIGTERM on"


def test_the_configuration_for_compose_is_one_that_nginx_takes(tmp_path: Path) -> None:
    nginx = program("nginx")
    changes = {"node1:8000": "127.0.0.1:8001", "node2:8000": "127.0.0.1:8002"}
    site = replaced((DEPLOY / "nginx/compose.conf").read_text(), changes)
    main = nginx_configuration(tmp_path, site)
    command = [nginx, "-t", "-p", str(tmp_path), "-c", str(main), "-e", str(tmp_path / "log")]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert tried.returncode == 0, tried.stderr
    for name in re.findall(r"server (node\d):8000", (DEPLOY / "nginx/compose.conf").read_text()):
        assert f"\n  {name}: *node\n" in COMPOSE


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with the command of this environment."""
    if shutil.which("systemd-analyze") is None:
        not_run("NOT RUN: deploy/systemd with systemd-analyze, which is not installed (scripts/programs)")
    file = tmp_path / "hubbub-tried.service"
    file.write_text(replaced(UNIT, {"/opt/hubbub/bin/hubbub": HUBBUB[0]}))
    return file


def test_the_unit_is_one_that_systemd_takes(unit: Path) -> None:
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (tried.returncode, tried.stderr) == (0, "")


def test_the_unit_gives_the_process_little_to_break(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit)]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert tried.returncode == 0, tried.stdout
