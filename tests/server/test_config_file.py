"""The file: each mistake is told with its place and what was meant, and rooms get the options that it has."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from hubbub import Allow, Delta, History, Overflow
from hubbub.server.assembly import make_hub
from hubbub.server.cli import main
from hubbub.server.configuration import load
from hubbub.server.tables import ConfigurationProblems

SECRET = "test-secret-0123456789-abcdefghijklm"


def problems(tmp_path: Path, text: str) -> list[str]:
    """What is said about a file, without the file's name."""
    file = tmp_path / "hubbub.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationProblems) as raised:
        load(file, {})
    assert all(line.startswith(f"{file}: ") for line in raised.value.problems), raised.value.problems
    return [line.removeprefix(f"{file}: ") for line in raised.value.problems]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "prot: unknown key; did you mean port?"),
        ("log-level = 'info'", "log-level: unknown key; did you mean log_level?"),
        ("zzz = 1", "zzz: unknown key; there are host, port, "),
        ("history_size = 5", "history_size: unknown key; it is an option of rooms"),
        ('[rooms."a"]\nport = 1', 'rooms."a".port: unknown key; it belongs above'),
        ('[rooms."a"]\nhistroy_size = 1', 'rooms."a".histroy_size: unknown key; did you mean history_size?'),
        ("[room.a]\ncache = true", "room: unknown key; did you mean rooms?"),
        ("port = 'x'", "port: expected a whole number, got text"),
        ("port = 70000", "port: expected a whole number <= 65535"),
        ("port = 1.5", "port: expected a whole number, got a number"),
        ("workers = 0", "workers: expected a whole number >= 1"),
        ("drain = 26", "drain: expected a number <= 25"),
        ("host = ''", "host: expected text of length >= 1"),
        ("host = ['a']", "host: expected text, got a list"),
        ("anonymous = 'yes'", "anonymous: expected true or false, got text"),
        ("anonymous = 1", "anonymous: expected true or false, got a whole number"),
        (
            "log_level = 'inf'",
            "log_level: expected one of critical, error, warning, info, debug, trace; did you",
        ),
        ("origins = [1]", "origins: expected text, got a whole number at [0]"),
        ("data = 5", "data: expected the path of a file or folder"),
        ("rooms = 5", "rooms: expected tables like"),
        ("rooms.a = 5", 'rooms."a": expected a table'),
        ('[rooms."a"]\npresence = "yes"', 'rooms."a".presence: expected true or false, got text'),
        ('[rooms."a"]\nhistory_ttl = "7y"', 'rooms."a".history_ttl: y is no unit here'),
        ('[rooms."a"]\nhistory_ttl = "soon"', 'rooms."a".history_ttl: expected a time'),
        ('[rooms."a"]\nhistory_ttl = 0', 'rooms."a".history_ttl: expected more than 0'),
        ('[rooms."a"]\nhistory_bytes = "-1"', 'rooms."a".history_bytes: expected a size'),
        ('[rooms."a"]\nhistory_size = 0', 'rooms."a".history_size: expected a whole number >= 1'),
        (
            '[rooms."a"]\nallow_publish = "subscribers"',
            'rooms."a".allow_publish: expected one of nobody, token',
        ),
        ('[rooms."a"]\ndelta = "fosil"', "did you mean fossil?"),
        ('[rooms."a"]\nforce_recovery = true', 'rooms."a": force_recovery needs a history'),
        ('[rooms."a"]\njoin_leave = true', 'rooms."a": join_leave needs presence'),
        ('[rooms."a"]\nallow_subscribe = "subscriber"', 'rooms."a": allow_subscribe cannot be'),
        ('[rooms."a:{b"]\ncache = false', 'rooms."a:{b": Room pattern'),
        ("origins = ['app.example.com']", "origins: An allowed origin looks like"),
        ("secret = 'short'", "secret: A secret needs at least 32 bytes"),
        (f"secret = ['{SECRET}', 'short']", "secret: A secret needs at least 32 bytes"),
        ("api_key = 'short'", "api_key: A secret needs at least 32 bytes"),
        ("personal_room = 'user'", "personal_room: A personal room's name looks like"),
        ("connect_hook = 'ftp://a'", "connect_hook: A hook's address begins with http:// or https://"),
        ("connect_hook = 'http://'", "connect_hook: A hook's address begins with http:// or https://"),
        ("rpc_hook = 'http://me:hush@a/b'", "rpc_hook: A hook's address has no password in it"),
        ("rpc_hook = 'http://a/#b'", "rpc_hook: A hook's address has no fragment"),
        ("rpc_hook = 'http://a:port'", "rpc_hook: This is no address"),
        ("hook_headers = ['a b']", "hook_headers: 'a b' cannot be a header's name"),
        ("hook_headers = ['Host']", "hook_headers: host is not passed on"),
        (
            "hook_static_headers = ['hush']",
            "hook_static_headers: A static header of hooks is written Name:value",
        ),
        (
            "hook_static_headers = ['X-Key: hush']\nhook_client_headers = ['x-key']",
            "hook_static_headers: a client could say x-key in its place",
        ),
        ("hook_timeout = 0", "hook_timeout: expected a number >= 0.01"),
        (
            '[rooms."a"]\npublish_hook = true',
            "rooms: a has publish_hook, and there is no address publish_hook",
        ),
        (
            "publish_hook = 'http://a'\n[rooms.\"room:{b}\"]\npublish_hook = true",
            "rooms: room:{b} has publish_hook, but clients of the plain rooms come in unasked",
        ),
        ("jwks = ['http://id.example.com']", "jwks: A key set's address begins with https://"),
        ("jwks = ['https://a.b']\njwks_algorithms = ['RS256', 'ES256']", "jwks: Key sets need algorithms"),
        (f"jwks = ['https://a.b']\nsecret = '{SECRET}'", "jwks: tokens are checked with a secret or with"),
        ("ssl_certfile = 'a'", "ssl_certfile: it goes with the other one"),
        ("drain = nan", "drain: expected"),
        ("port = true", "port: expected a whole number, got true or false"),
        (f"port = {'9' * 5_000}", "this is no TOML"),
        (f"port = {'[' * 5_000}", "this is no TOML"),
        ('[rooms."a"]\nhistory_ttl = inf', 'rooms."a".history_ttl: expected a time'),
        ("port = 1\nport = 2", "this is no TOML: Cannot overwrite a value"),
        ("[rooms.chat:{name}]", "this is no TOML: "),
    ],
    ids=lambda value: value.splitlines()[-1][:40],
)
def test_a_mistake_is_told_with_its_place_and_what_was_meant(tmp_path: Path, text: str, said: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert said in problem


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = 'prot = 1\nport = "x"\n[rooms."a"]\ncach = true\npresence = 1\n[rooms."b"]\ncache = true\n'
    assert [line.partition(": ")[0] for line in problems(tmp_path, text)] == [
        "prot",
        "port",
        'rooms."a".cach',
        'rooms."a".presence',
        'rooms."b"',
    ]


def test_no_message_has_a_secret_in_it(tmp_path: Path) -> None:
    text = "secret = ['hush-hush']\napi_key = {value = 'hush-hush'}\njwks = ['hush-hush']\n"
    assert "hush-hush" not in "\n".join(problems(tmp_path, text))
    with pytest.raises(ConfigurationProblems) as raised:
        load(None, {"HUBBUB_SECRET": "hush-hush", "HUBBUB_API_KEY": "hush-hush"})
    assert len(raised.value.problems) == 2
    assert "hush-hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--config", "nowhere.toml"], "nowhere.toml: No such file or directory"),
        (["serve"], "hubbub.toml: prot: unknown key"),
        (["serve", "--config", "hubbub.toml"], "hubbub.toml: prot: unknown key"),
        (["token", "ada"], "hubbub.toml: prot: unknown key"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_ends_with_the_message_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hubbub.toml").write_text("prot = 1\n")
    answer = CliRunner().invoke(main, arguments)
    assert answer.exit_code == 1
    assert f"Error: {said}" in answer.output
    assert isinstance(answer.exception, SystemExit), "an error of its own would be a traceback"


ROOMS = """
anonymous = {anonymous}

[rooms."chat:{{name}}"]
history_size = 500
history_ttl = "7d"
history_bytes = "16MiB"
presence = true
join_leave = true
force_push_join_leave = true
force_recovery = true
force_positioning = true
cache = true
delta = "fossil"
overflow = "drop_oldest"
allow_subscribe = "anyone"
allow_publish = "subscriber"
allow_history = "user"
allow_presence = "token"

[rooms."{{all:path}}"]
history_ttl = 30
"""


def test_rooms_get_the_options_of_the_first_pattern_that_fits(tmp_path: Path) -> None:
    file = tmp_path / "hubbub.toml"
    file.write_text(ROOMS.format(anonymous="true"))
    hub = make_hub(load(file, {"HUBBUB_BROKER": "memory://"}).settings)
    chat = hub.options("chat:general")
    assert chat is not None
    assert chat.history == History(500, 604_800.0, 16_777_216)
    flags = (
        "presence",
        "join_leave",
        "force_push_join_leave",
        "force_recovery",
        "force_positioning",
        "cache",
    )
    assert [name for name in flags if not getattr(chat, name)] == []
    assert (chat.delta, chat.overflow) == (Delta.FOSSIL, Overflow.DROP_OLDEST)
    assert (chat.allow_subscribe, chat.allow_publish) == (Allow.ANYONE, Allow.SUBSCRIBER)
    assert (chat.allow_history, chat.allow_presence) == (Allow.USER, Allow.TOKEN)
    other = hub.options("chat:a:b")
    assert other is not None
    assert other.history == History(ttl=30.0)
    assert {type(value) for value in (chat.history.ttl, other.history.ttl)} == {float}, (
        "as brokers can write it"
    )


def test_without_anonymous_clients_anyone_means_every_user(tmp_path: Path) -> None:
    file = tmp_path / "hubbub.toml"
    file.write_text(ROOMS.format(anonymous="false"))
    chat = make_hub(load(file, {"HUBBUB_BROKER": "memory://"}).settings).options("chat:general")
    assert chat is not None
    assert (chat.allow_subscribe, chat.allow_publish) == (Allow.USER, Allow.SUBSCRIBER)
