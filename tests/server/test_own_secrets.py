"""Secrets: none by default, made where only this machine can reach the server, demanded anywhere else."""

import base64
import json
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from server_process import HUBBUB, ServerProcess, running
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from hubbub.auth import Tokens
from hubbub.core.errors import ConfigurationError
from hubbub.server.cli import main
from hubbub.server.configuration import load
from hubbub.server.own_secrets import readable_by_others, with_kept_secrets, with_own_secrets

SECRET = "test-secret-0123456789-abcdefghijklm"
OLD_SECRET = "old-secret-9876543210-zyxwvutsrqponm"
KEY = "test-api-key-0123456789-abcdefghijkl"
NO_BROKER = {"HUBBUB_BROKER": ""}


@contextmanager
def serving(folder: Path, environment: dict[str, str]) -> Iterator[ServerProcess]:
    """``hubbub serve`` in a folder."""
    command = [*HUBBUB, "serve", "--drain", "0"]
    with running(command, folder / "log", environment, folder=folder) as server:
        yield server


def connected(server: ServerProcess, token: str) -> bool:
    """Whether a client with this token is let in."""
    with connect(server.ws("/connection/websocket"), proxy=None) as socket:
        socket.send(json.dumps({"id": 1, "connect": {"token": token}}))
        return "connect" in json.loads(socket.recv(timeout=10))


def status_of_api(server: ServerProcess, key: str) -> int:
    """The status of a call of the HTTP API."""
    return httpx.post(f"{server.origin}/api/info", headers={"X-API-Key": key}, json={}).status_code


def kept(folder: Path) -> dict[str, str]:
    """The secrets that a server has made for itself."""
    return tomllib.loads((folder / "hubbub-data/secrets.toml").read_text())


def test_a_local_server_makes_secrets_once_keeps_them_and_tells_only_where(tmp_path: Path) -> None:
    with serving(tmp_path, NO_BROKER) as server:
        made = kept(tmp_path)
        assert sorted(made) == ["admin_key", "api_key", "secret"]
        assert [len(base64.urlsafe_b64decode(value + "=")) for value in made.values()] == [32, 32, 32]
        token = Tokens(server.secret(made["secret"])).issue("ada")
        assert connected(server, token)
        assert status_of_api(server, server.secret(made["api_key"])) == 200
        assert status_of_api(server, KEY) == 401
        assert re.search(r"^  secrets +hubbub-data/secrets\.toml$", server.log(), re.MULTILINE)
    file = tmp_path / "hubbub-data/secrets.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir() if path.name.startswith("secrets")] == [
        "secrets.toml"
    ]
    with serving(tmp_path, NO_BROKER) as server:
        assert kept(tmp_path) == made
        assert connected(server, token)


def test_a_server_that_keeps_nothing_keeps_no_secrets_and_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, {}) as server:
        assert status_of_api(server, KEY) == 401
        assert "made for this run" in server.log()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_workers_sign_with_the_first_secret_and_accept_all(tmp_path: Path) -> None:
    environment = {
        "HUBBUB_SECRET": f"{SECRET} {OLD_SECRET}",
        "HUBBUB_API_KEY": KEY,
        "HUBBUB_WORKERS": "2",
        "HUBBUB_BROKER": f"embedded://{tmp_path}/valkey",
    }
    with serving(tmp_path, environment) as server:
        for secret in (SECRET, OLD_SECRET):
            assert connected(server, server.secret(Tokens(secret).issue("ada")))
        stranger = Tokens("a" * 40).issue("ada")
        with pytest.raises(ConnectionClosedError) as refused:
            connected(server, server.secret(stranger))
        assert refused.value.rcvd is not None
        assert refused.value.rcvd.code == 3500
        assert status_of_api(server, server.secret(KEY)) == 200


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, ["secret", "api_key"]),
        ({"HUBBUB_SECRET": SECRET}, ["api_key"]),
        ({"HUBBUB_API_KEY": KEY}, ["secret"]),
        ({"HUBBUB_JWKS": "https://id.example.com/keys"}, ["api_key"]),
    ],
    ids=["nothing", "a secret", "a key", "key sets"],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_where_others_can_reach_it_the_server_refuses_to_start_without_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    environment: dict[str, str],
    missing: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(main, ["serve", "--host", host], env=environment)
    assert answer.exit_code == 1
    assert f"Missing: {', '.join(missing)}." in answer.output
    assert all(f"HUBBUB_{name.upper()}" in answer.output for name in missing)
    assert host in answer.output
    assert list(tmp_path.iterdir()) == [], "nothing is made"


@pytest.mark.parametrize("given", ["secret", "jwks"])
def test_where_others_can_reach_it_the_server_starts_with_them(given: str) -> None:
    secrets = {"secret": {"HUBBUB_SECRET": SECRET}, "jwks": {"HUBBUB_JWKS": "https://id.example.com/keys"}}
    configuration = load(None, {"HUBBUB_HOST": "0.0.0.0", "HUBBUB_API_KEY": KEY, **secrets[given]})
    assert with_own_secrets(configuration) is configuration


def test_secrets_of_a_local_server_are_not_used_where_others_can_reach_it(tmp_path: Path) -> None:
    local = {"HUBBUB_DATA": str(tmp_path)}
    assert with_own_secrets(load(None, local)).settings.secret
    assert with_kept_secrets(load(None, local)).settings.secret
    reachable = load(None, {**local, "HUBBUB_HOST": "0.0.0.0"})
    assert with_kept_secrets(reachable).settings.missing_secrets == ["secret", "api_key"]


def test_what_is_given_is_not_made_and_what_was_made_is_not_made_anew(tmp_path: Path) -> None:
    local = {"HUBBUB_DATA": str(tmp_path)}
    first = with_own_secrets(load(None, {**local, "HUBBUB_SECRET": SECRET})).settings
    assert first.secret == (SECRET,)
    assert "secret =" not in (tmp_path / "secrets.toml").read_text()
    second = with_own_secrets(load(None, local)).settings
    assert second.api_key == first.api_key
    assert second.secret not in ((), (SECRET,))


@pytest.mark.parametrize(
    ("text", "said"), [("secret = ", "no TOML"), (b"\xff", "no TOML"), (None, "Cannot read")]
)
def test_a_damaged_file_of_secrets_is_an_error_and_stays_as_it_is(
    tmp_path: Path, text: str | bytes | None, said: str
) -> None:
    file = tmp_path / "secrets.toml"
    if text is None:
        file.mkdir()
    else:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError, match=said):
        with_own_secrets(load(None, {"HUBBUB_DATA": str(tmp_path)}))
    assert text is None or file.stat().st_size == len(text)


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"secrets\.toml: Not a directory"):
        with_own_secrets(load(None, {"HUBBUB_DATA": str(tmp_path / "file/data")}))


def test_a_missing_admin_key_keeps_no_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    given = {"HUBBUB_SECRET": SECRET, "HUBBUB_API_KEY": KEY, "HUBBUB_DATA": str(tmp_path / "file/data")}
    assert with_own_secrets(load(None, given)).settings.admin_key == ()


@pytest.mark.parametrize(
    ("settings", "made"),
    [
        ({}, True),
        ({"HUBBUB_ADMIN": "false"}, False),
        ({"HUBBUB_HOST": "0.0.0.0"}, False),
        ({"HUBBUB_HOST": "0.0.0.0", "HUBBUB_OPERATOR_PORT": "9000"}, True),
        ({"HUBBUB_OPERATOR_HOST": "0.0.0.0", "HUBBUB_OPERATOR_PORT": "9000"}, False),
    ],
)
def test_an_admin_key_is_made_where_only_this_machine_can_reach_the_page(
    tmp_path: Path, settings: dict[str, str], made: bool
) -> None:
    given = {"HUBBUB_SECRET": SECRET, "HUBBUB_API_KEY": KEY, "HUBBUB_DATA": str(tmp_path)}
    assert bool(with_own_secrets(load(None, given | settings)).settings.admin_key) is made


def test_a_file_that_others_can_read_is_known_as_such(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    file.touch(0o600)
    assert not readable_by_others(file)
    file.chmod(0o640)
    assert readable_by_others(file)
