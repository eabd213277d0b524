"""Settings: from a file, the environment and options, the later ones stronger, each with its source."""

import dataclasses
import json
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from hubbub.core.errors import ConfigurationError
from hubbub.core.options import RoomOptions
from hubbub.server.cli import main
from hubbub.server.configuration import DEFAULT, IN_THE_ENVIRONMENT, load
from hubbub.server.printed_settings import masked_url, printed
from hubbub.server.settings import HANDED_ON, ROOM_HOOKS, RoomTable, Settings
from hubbub.server.tables import SETTINGS, option_of

SECRET = "test-secret-0123456789-abcdefghijklm"
OLD_SECRET = "old-secret-9876543210-zyxwvutsrqponm"
KEY = "test-api-key-0123456789-abcdefghijkl"

GIVEN = {
    "host": "127.0.0.2",
    "port": 8_123,
    "operator_host": "127.0.0.3",
    "operator_port": 8_124,
    "workers": 3,
    "drain": 2.5,
    "log_level": "debug",
    "log_format": "json",
    "broker": "redis://localhost:6379/3",
    "data": "elsewhere",
    "origins": ["https://a.example.com", "https://b.example.com"],
    "trusted_proxies": ["10.0.0.0/8", "::1"],
    "secret": [SECRET, OLD_SECRET],
    "api_key": [KEY],
    "admin_key": ["test-admin-key-0123456789-abcdefghij"],
    "metrics_key": ["test-metrics-key-0123456789-abcdefgh"],
    "chat": False,
    "plain_rooms": False,
    "api": False,
    "docs": True,
    "metrics": False,
    "admin": True,
    "token_audience": "chat",
    "token_issuer": "https://id.example.com",
    "jwks": ["https://id.example.com/keys"],
    "jwks_algorithms": ["ES256", "ES384"],
    "anonymous": True,
    "personal_room": "user:{id}",
    "protection": False,
    "message_rate": 1.5,
    "message_burst": 2,
    "user_message_rate": 3.5,
    "user_message_burst": 4,
    "handshake_rate": 5.5,
    "handshake_burst": 6,
    "max_connections": 7,
    "max_connections_per_user": 8,
    "max_connections_per_address": 9,
    "max_unauthenticated": 10,
    "idle_timeout": 11.5,
    "connect_hook": "http://127.0.0.1:9/connect",
    "refresh_hook": "http://127.0.0.1:9/refresh",
    "subscribe_hook": "https://app.example.com/subscribe?a=b",
    "publish_hook": "http://127.0.0.1:9/publish",
    "sub_refresh_hook": "http://127.0.0.1:9/sub-refresh",
    "rpc_hook": "http://127.0.0.1:9/rpc",
    "hook_headers": ["cookie", "x-request-id"],
    "hook_client_headers": ["authorization"],
    "hook_static_headers": ["x-key:test-static-header-0123456789"],
    "hook_timeout": 2.5,
    "hook_requests": 12,
    "hook_binary": True,
    "ssl_certfile": "cert.pem",
    "ssl_keyfile": "key.pem",
}
"""A value for each setting, none of them the default one."""


ROOM = """
[rooms."a:{b}"]
history_size = 5
history_ttl = "7d"
history_bytes = "1MiB"
delta = "fossil"
overflow = "drop_oldest"
allow_publish = "user"
"""


def given(*left_out: str) -> dict[str, object]:
    """Those that can be there together."""
    return {name: value for name, value in GIVEN.items() if name not in left_out}


def toml(values: dict[str, object]) -> str:
    """These as a TOML document: JSON writes such values in the same way."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def as_text(value: object) -> str:
    """How a value stands in the environment."""
    if isinstance(value, list):
        return " ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def plain(settings: Settings, name: str) -> object:
    """A setting as it would be given."""
    value = getattr(settings, name)
    if isinstance(value, tuple):
        return list(value)
    return value.name if isinstance(value, Path) else value


@pytest.mark.parametrize("left_out", ["secret", "jwks"])
def test_every_setting_is_read_from_each_place_alike(tmp_path: Path, left_out: str) -> None:
    assert set(GIVEN) == set(SETTINGS) - {"rooms"}
    values = given(left_out)
    file = tmp_path / "hubbub.toml"
    file.write_text(toml(values))
    environment = {f"HUBBUB_{name.upper()}": as_text(value) for name, value in values.items()}
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    for configuration, source in (
        (load(file, {}), lambda name: str(file)),
        (load(None, environment), lambda name: f"HUBBUB_{name.upper()}"),
        (load(None, {}, options), option_of),
    ):
        assert {name: plain(configuration.settings, name) for name in values} == values
        assert {name: configuration.sources[name] for name in values} == {
            name: source(name) for name in values
        }
        assert configuration.sources[left_out] == DEFAULT


@pytest.mark.parametrize(
    ("file", "environment", "option", "port", "source"),
    [
        (None, None, None, 8_000, DEFAULT),
        (1, None, None, 1, "hubbub.toml"),
        (1, 2, None, 2, "HUBBUB_PORT"),
        (1, 2, 3, 3, "--port"),
        (1, None, 3, 3, "--port"),
        (None, 2, 3, 3, "--port"),
    ],
)
def test_an_option_beats_the_environment_which_beats_the_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: int | None,
    environment: int | None,
    option: int | None,
    port: int,
    source: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if file is not None:
        Path("hubbub.toml").write_text(f"port = {file}\n")
    variables = {} if environment is None else {"HUBBUB_PORT": str(environment)}
    configuration = load(None, variables, {"port": option})
    assert (configuration.settings.port, configuration.sources["port"]) == (port, source)


def test_a_list_is_replaced_and_not_added_to(tmp_path: Path) -> None:
    file = tmp_path / "hubbub.toml"
    file.write_text(f'secret = ["{SECRET}"]\napi_key = "{KEY}"\n')
    settings = load(file, {"HUBBUB_SECRET": f"{OLD_SECRET}  {SECRET}"}).settings
    assert (settings.secret, settings.api_key) == ((OLD_SECRET, SECRET), (KEY,))


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert load(None, dict.fromkeys(IN_THE_ENVIRONMENT, "")).settings == Settings()


def test_paths_in_a_file_are_relative_to_it_and_others_to_the_working_directory(tmp_path: Path) -> None:
    file = tmp_path / "hubbub.toml"
    file.write_text('data = "kept"\n')
    assert load(file, {}).settings.data == tmp_path / "kept"
    assert load(file, {"HUBBUB_DATA": "kept"}).settings.data == Path("kept")


@pytest.mark.parametrize(
    ("text", "value"), [("yes", True), ("On", True), ("1", True), ("no", False), ("FALSE", False)]
)
def test_a_variable_says_yes_or_no_in_several_ways(text: str, value: bool) -> None:
    assert load(None, {"HUBBUB_ANONYMOUS": text}).settings.anonymous is value


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("HUBBUB_ORIGIN", "HUBBUB_ORIGINS"),
        ("HUBBUB_PROT", "HUBBUB_PORT"),
        ("HUBBUB_APIKEY", "HUBBUB_API_KEY"),
    ],
)
def test_a_misspelt_variable_is_an_error(variable: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable}: unknown variable; did you mean {meant}?"):
        load(None, {variable: "x"})


@pytest.mark.parametrize("variable", ["HUBBUB_SERVICE_HOST", "HUBBUB_PORT_8000_TCP", "HUBBUB_CHROMIUM"])
def test_a_variable_of_somebody_else_is_left_alone(variable: str) -> None:
    assert load(None, {variable: "x"}).settings == Settings()


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("hub.example.com", False),
        ("localhost.example.com", False),
    ],
)
def test_only_an_address_of_this_machine_counts_as_local(host: str, local: bool) -> None:
    assert Settings(host=host).local is local


def test_workers_get_the_same_settings_and_leave_nothing_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hubbub.toml"
    file.write_text(toml(given("jwks")) + ROOM)
    settings = load(file, {}).settings
    monkeypatch.delenv(HANDED_ON, raising=False)
    settings.hand_on()
    assert Settings.handed_on() == settings
    assert load(None, {HANDED_ON: "x"}).settings == Settings()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path / "empty"


def print_config(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """What ``hubbub serve --print-config`` prints."""
    answer = CliRunner().invoke(main, ["serve", "--print-config", *arguments], env=environment)
    assert answer.exit_code == 0, answer.output
    assert list(Path.cwd().iterdir()) == [], "printing makes nothing"
    return answer.output


def test_static_headers_of_hooks_and_words_in_their_addresses_are_masked(folder: Path) -> None:
    address, header = "https://a.example.com/b?token=hush-hush", "X-Key:hush-hush"
    printed = print_config("--connect-hook", address, "--hook-static-header", header)
    assert "hush-hush" not in printed
    assert 'hook_static_headers = ["X-Key:***"]' in printed
    assert 'connect_hook = "https://a.example.com/b?token=***"' in printed


def test_the_printed_configuration_is_toml_that_gives_the_same_settings(tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text(
        toml(given("secret", "api_key", "admin_key", "metrics_key", "hook_static_headers", "data"))
        + 'data = "a \\"quoted\\" \\u007f café"\n'
        + ROOM
    )
    configuration = load(file, {})
    text = printed(configuration)
    again = tmp_path / "again.toml"
    again.write_text(text)
    assert load(again, {}).settings == configuration.settings


def test_each_printed_value_has_its_source(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text('log_level = "debug"\n[rooms."a:{b}"]\npresence = true\n')
    output = print_config("--config", str(file), "--port", "8123", environment={"HUBBUB_DRAIN": "3"})
    for line in (
        'host = "127.0.0.1"  # default',
        "port = 8123  # --port",
        "drain = 3.0  # HUBBUB_DRAIN",
        f'log_level = "debug"  # {file}',
        "# token_issuer is not set",
        f'[rooms."a:{{b}}"]  # {file}',
        "presence = true",
        "cache = false  # default",
    ):
        assert line in output.splitlines(), line


def test_secrets_are_masked_wherever_they_stand(folder: Path) -> None:
    environment = {
        "HUBBUB_SECRET": f"{SECRET} {OLD_SECRET}",
        "HUBBUB_API_KEY": KEY,
        "HUBBUB_BROKER": "redis://ada:the-password@localhost:6379/0",
    }
    output = print_config(environment=environment)
    for secret in (SECRET, OLD_SECRET, KEY, "the-password"):
        assert secret not in output
    values = tomllib.loads(output)
    assert values["secret"] == ["***", "***"]
    assert values["broker"] == "redis://ada:***@localhost:6379/0"


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("127.0.0.1", "# secret is made at the start, and kept in hubbub-data/secrets.toml"),
        ("0.0.0.0", "# secret is missing: others can reach 0.0.0.0"),
    ],
)
def test_a_secret_that_is_not_given_is_said_to_be_made_or_missing(folder: Path, host: str, said: str) -> None:
    assert said in print_config("--host", host).splitlines()


def test_a_table_of_rooms_has_the_fields_of_their_options_and_the_same_defaults() -> None:
    options = {one.name: one.default for one in dataclasses.fields(RoomOptions) if one.name != "history"}
    table = {one.name: one.default for one in msgspec.structs.fields(RoomTable)}
    ours = {name for name in table if name.startswith("history_") or name in ROOM_HOOKS}
    assert {name: value for name, value in table.items() if name not in ours} == options
    assert RoomOptions(**RoomTable().arguments()) == RoomOptions()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost", "redis://localhost"),
        ("redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
        ("nats://token@h:4222", "nats://***@h:4222"),
        (
            "redis+sentinel://a:1,b:2/name?sentinel_password=pw&db=1",
            "redis+sentinel://a:1,b:2/name?sentinel_password=***&db=1",
        ),
        ("nats://ada:pw@a:1,[::1]:2", "nats://ada:***@a:1,[::1]:2"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_the_password_of_a_broker_is_masked(url: str, shown: str) -> None:
    assert masked_url(url) == shown
