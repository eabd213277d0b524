"""``hubbub check``: each planted mistake is found, told with what to mend, and nothing is started or made."""

import json
import os
import resource
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ports import free_port
from server_process import HUBBUB, environment_of

from hubbub.server.cli import main

SECRET = "test-secret-0123456789-abcdefghijklm"
KEY = "test-api-key-0123456789-abcdefghijkl"
WELL = {"HUBBUB_BROKER": "memory://", "HUBBUB_SECRET": SECRET, "HUBBUB_API_KEY": KEY}
REACHABLE = {**WELL, "HUBBUB_HOST": "0.0.0.0"}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)


def check(*arguments: str, **environment: str) -> Result:
    """Run ``hubbub check`` on a free port."""
    answer = CliRunner().invoke(main, ["check", "--port", str(free_port()), *arguments], env=environment)
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.output
    return answer


def check_as_program(*before: str, **environment: str) -> tuple[int, str]:
    """The same in a process of its own, behind a command that changes something for it."""
    ended = subprocess.run(
        [*before, *HUBBUB, "check", "--port", str(free_port())],
        env=environment_of({**WELL, **environment}),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def finding(output: str, topic: str) -> str:
    """The worst line about a topic."""
    lines = [line for line in output.splitlines() if line[7:].startswith(f"{topic}: ")]
    assert lines, f"nothing about {topic}:\n{output}"
    return min(lines, key=lambda line: ("error", "warn ", "ok   ").index(line[:5]))


def test_nothing_is_wrong_where_nothing_is_and_nothing_is_made(tmp_path: Path) -> None:
    answer = check()
    assert answer.exit_code == 0, answer.output
    assert {line[:5] for line in answer.output.splitlines()} <= {"ok   ", "warn "}
    assert {line[7:].partition(":")[0] for line in answer.output.splitlines()} >= {
        "configuration",
        "uvicorn",
        "open files",
        "secret",
        "api_key",
        "origins",
        "proxy",
        "rooms",
        "data folder",
        "port",
        "broker",
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "topic", "said", "mend"),
    [
        ({**WELL, "HUBBUB_PROT": "1"}, "configuration", "HUBBUB_PROT", "did you mean HUBBUB_PORT"),
        ({**WELL, "HUBBUB_SECRET": "short"}, "configuration", "HUBBUB_SECRET", "openssl rand"),
        ({**REACHABLE, "HUBBUB_SECRET": ""}, "secret", "missing", "set HUBBUB_SECRET"),
        ({**REACHABLE, "HUBBUB_API_KEY": ""}, "api_key", "missing", "set HUBBUB_API_KEY"),
        ({**WELL, "HUBBUB_API_KEY": "changeme" * 4}, "api_key", "guessed", "openssl rand"),
        ({**WELL, "HUBBUB_API_KEY": SECRET}, "api_key", "the same as secret", "make another"),
        ({**WELL, "HUBBUB_ORIGINS": "app.example.com"}, "configuration", "HUBBUB_ORIGINS", "https://app"),
        ({**WELL, "HUBBUB_ORIGINS": "*"}, "origins", "every page of the web", "name yours"),
        (
            {**WELL, "HUBBUB_BROKER": "redis://127.0.0.1:1"},
            "broker",
            "no link",
            "name another (HUBBUB_BROKER)",
        ),
        ({**WELL, "HUBBUB_BROKER": "nats://127.0.0.1:1"}, "broker", "127.0.0.1:1", "see to it that it runs"),
        ({**WELL, "HUBBUB_BROKER": "sqlite:///no/a.db"}, "broker", "no folder no", "make it"),
        ({**WELL, "HUBBUB_WORKERS": "2"}, "configuration", "memory:// is for one process", "Have one worker"),
        (
            {**REACHABLE, "HUBBUB_ADMIN": "on"},
            "configuration",
            "HUBBUB_ADMIN: others can reach 0.0.0.0",
            "admin_key",
        ),
        (
            {**WELL, "HUBBUB_OPERATOR_PORT": "9", "HUBBUB_OPERATOR_HOST": "192.0.2.1"},
            "operator port",
            "cannot listen",
            "HUBBUB_OPERATOR_HOST",
        ),
        ({**REACHABLE, "FORWARDED_ALLOW_IPS": "*"}, "proxy", "everybody is believed", "name the addresses"),
        ({**REACHABLE, "HUBBUB_TRUSTED_PROXIES": "*"}, "proxy", "(HUBBUB_TRUSTED_PROXIES)", "name the"),
        ({**WELL, "HUBBUB_TRUSTED_PROXIES": "10.0.0.300"}, "configuration", "HUBBUB_TRUSTED", "10.0.0.0/8"),
        ({**WELL, "HUBBUB_HOST": "192.0.2.1"}, "port", "cannot listen on 192.0.2.1", "HUBBUB_HOST"),
    ],
)
def test_a_planted_mistake_is_an_error(environment: dict[str, str], topic: str, said: str, mend: str) -> None:
    answer = check(**environment)
    line = finding(answer.output, topic)
    assert line.startswith("error")
    assert said in line
    assert mend in line
    assert answer.exit_code == 1


@pytest.mark.parametrize(
    ("environment", "topic", "said"),
    [
        ({**WELL, "HUBBUB_ORIGINS": "http://app.example.com"}, "origins", "comes without TLS"),
        (REACHABLE, "proxy", "tokens go in the clear"),
        ({**REACHABLE, "HUBBUB_METRICS": "yes"}, "metrics", "whoever reaches the server reads them"),
        ({**REACHABLE, "HUBBUB_PROTECTION": "no"}, "protection", "one client can take what all share"),
        ({**REACHABLE, "HUBBUB_DOCS": "yes"}, "docs", "whoever reaches the server reads them"),
        ({**REACHABLE, "HUBBUB_BROKER": "embedded://", "HUBBUB_WORKERS": "9999"}, "workers", "9999 on"),
    ],
)
def test_what_somebody_may_regret_is_a_warning(environment: dict[str, str], topic: str, said: str) -> None:
    answer = check(**environment)
    line = finding(answer.output, topic)
    assert line.startswith("warn")
    assert said in line
    assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize(
    ("text", "mode", "topic", "said"),
    [
        ("prot = 1", 0o600, "configuration", "error  configuration: hubbub.toml: prot: unknown key"),
        (f"secret = '{SECRET}'", 0o644, "secrets", "warn   secrets: others can read hubbub.toml"),
        (
            "ssl_certfile = 'a.pem'\nssl_keyfile = 'a.pem'",
            0o600,
            "tls",
            "error  tls: a.pem and a.pem: No such file",
        ),
        (
            'anonymous = true\n[rooms."a"]\nallow_publish = "anyone"',
            0o600,
            "rooms",
            "warn   rooms: whoever reaches the server may publish in a",
        ),
    ],
)
def test_a_mistake_in_the_file_is_found(text: str, mode: int, topic: str, said: str) -> None:
    Path("hubbub.toml").write_text(text)
    Path("hubbub.toml").chmod(mode)
    assert finding(check(HUBBUB_BROKER="memory://").output, topic).startswith(said)


def test_secrets_that_others_can_read_are_found(tmp_path: Path) -> None:
    file = tmp_path / "hubbub-data/secrets.toml"
    file.parent.mkdir()
    file.write_text(f"secret = '{SECRET}'\napi_key = '{KEY}'\n")
    file.chmod(0o640)
    answer = check()
    assert finding(answer.output, "secrets").startswith(
        "error  secrets: others can read hubbub-data/secrets.toml"
    )
    assert "chmod 600" in answer.output
    assert SECRET not in answer.output


def test_a_data_folder_that_is_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = finding(check(HUBBUB_DATA="file", HUBBUB_SECRET=SECRET, HUBBUB_API_KEY=KEY).output, "data folder")
    assert line.startswith("error")
    assert "HUBBUB_DATA" in line


def test_a_proxy_that_is_trusted_ends_tls() -> None:
    for name in ("HUBBUB_TRUSTED_PROXIES", "FORWARDED_ALLOW_IPS"):
        line = finding(check(**{**REACHABLE, name: "10.0.0.0/8"}).output, "proxy")
        assert line == "ok     proxy: believed: 10.0.0.0/8"


def test_a_port_in_use_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        line = finding(check("--port", port, **WELL).output, "port")
    assert line.startswith(f"warn   port: {port} is in use")


def test_a_broker_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://:the-password@127.0.0.1:{listener.getsockname()[1]}"
        answer = check(**{**WELL, "HUBBUB_BROKER": url})
    assert finding(answer.output, "broker").startswith("error")
    assert "the-password" not in answer.output


KEYS = json.dumps(
    {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
        ]
    }
)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (f"200 OK\r\nContent-Length: {len(KEYS)}\r\n\r\n{KEYS}", "ok     jwks: {url} has 1 key"),
        ("404 Not Found\r\nContent-Length: 0\r\n\r\n", "error  jwks: {url}: 404 Not Found; name the address"),
        ("200 OK\r\nContent-Length: 2\r\n\r\n{}", "error  jwks: {url}: "),
        ("200 OK\r\nContent-Length: 6\r\n\r\n<html>", "error  jwks: {url}: "),
        ("503 Not Now\r\nContent-Length: 0\r\n\r\n", "warn   jwks: {url}: 503 Not Now; no token"),
        ("200 OK\r\nContent-Length: 1000\r\n\r\n{", "warn   jwks: {url}: no answer; no token"),
        (None, "warn   jwks: {url}: "),
    ],
)
def test_an_address_of_a_key_set_is_asked(answer: str | None, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        settings = {"HUBBUB_BROKER": "memory://", "HUBBUB_API_KEY": KEY, "HUBBUB_JWKS": url}
        if answer is None:
            listener.close()
            line = finding(check(**settings).output, "jwks")
        else:
            with ThreadPoolExecutor() as threads:
                checking = threads.submit(check, **settings)
                asking, _ = listener.accept()
                with asking:
                    asking.recv(65_536)
                    asking.sendall(f"HTTP/1.1 {answer}".encode())
                    line = finding(checking.result().output, "jwks")
    assert line.startswith(said.format(url=url)), line


HOOK = {**WELL, "HUBBUB_PLAIN_ROOMS": "off", "HUBBUB_CHAT": "off"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("405 No\r\nAllow: POST\r\nContent-Length: 0\r\n\r\n", "ok     connect hook: {url} answers"),
        ("404 No\r\nContent-Length: 0\r\n\r\n", "warn   connect hook: {url} answers 404; look at the path"),
        ("500 No\r\nContent-Length: 0\r\n\r\n", "warn   connect hook: {url} answers 500; look at the path"),
        (
            "302 No\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
            "warn   connect hook: {url} points elsewhere (302)",
        ),
        (None, "warn   connect hook: {url}: [Errno 111] Connection refused; who depends on it"),
    ],
)
def test_the_address_of_a_hook_is_asked_for_its_options(answer: str | None, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/connect"
        settings = {**HOOK, "HUBBUB_CONNECT_HOOK": url}
        if answer is None:
            listener.close()
            line = finding(check(**settings).output, "connect hook")
        else:
            with ThreadPoolExecutor() as threads:
                checking = threads.submit(check, **settings)
                asking, _ = listener.accept()
                with asking:
                    assert asking.recv(65_536).startswith(b"OPTIONS /connect HTTP/1.1")
                    asking.sendall(f"HTTP/1.1 {answer}".encode())
                    line = finding(checking.result().output, "connect hook")
    assert line.startswith(said.format(url=url)), line


def test_hooks_that_are_not_safe_or_never_asked_are_found() -> None:
    nowhere = "http://hooks.invalid:9/publish?token=hush-hush"
    answer = check(**WELL, HUBBUB_PUBLISH_HOOK=nowhere, HUBBUB_CONNECT_HOOK="http://127.0.0.1:9/connect")
    assert "warn   publish hook: http to another machine" in answer.output
    assert "warn   publish hook: no room asks it: publish_hook = true" in answer.output
    assert "warn   connect hook: plain WebSockets come in unasked: plain_rooms and chat" in answer.output
    assert "http to another machine: cookies" in answer.output
    assert answer.output.count("http to another machine") == 1
    assert "hush-hush" not in answer.output


def test_a_sqlite_file_of_another_program_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("something else, which is long enough to be a database of another program")
    line = finding(check(**{**WELL, "HUBBUB_BROKER": "sqlite:///a.db"}).output, "broker")
    assert line.startswith("error")


def test_too_few_open_files_are_found() -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 512
    limited = ("sh", "-c", 'ulimit -n 512; exec "$@"', "sh")
    status, output = check_as_program(*limited, HUBBUB_HOST="0.0.0.0")
    assert finding(output, "open files").startswith(
        "error  open files: 512 for each process: room for about 312"
    )
    assert status == 1
    _, output = check_as_program(*limited)
    assert finding(output, "open files").startswith("warn")


def test_an_old_uvicorn_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "old/uvicorn-0.52.0.dist-info"
    planted.mkdir(parents=True)
    (planted / "METADATA").write_text("Metadata-Version: 2.1\nName: uvicorn\nVersion: 0.52.0\n")
    path = os.pathsep.join([str(tmp_path / "old"), *filter(None, [os.environ.get("PYTHONPATH")])])
    status, output = check_as_program(PYTHONPATH=path)
    assert finding(output, "uvicorn").startswith("error  uvicorn: 0.52.0 does not wait for slow readers")
    assert 'pip install "uvicorn>=0.53"' in output
    assert status == 1


def test_several_mistakes_are_found_at_once() -> None:
    answer = check(HUBBUB_HOST="0.0.0.0", HUBBUB_ORIGINS="*", HUBBUB_BROKER="redis://127.0.0.1:1")
    topics = [line[7:].partition(":")[0] for line in answer.output.splitlines() if line.startswith("error")]
    assert topics == ["secret", "api_key", "origins", "broker"]
