"""``hubbub token``: tokens that the server takes, and what is in one."""

import time
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from hubbub.auth import Tokens
from hubbub.server.cli import main

SECRET = "test-secret-0123456789-abcdefghijklm"
OLD_SECRET = "old-secret-9876543210-zyxwvutsrqponm"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def token(*arguments: str, secret: str = f"{SECRET} {OLD_SECRET}", **variables: str) -> Result:
    """Run ``hubbub token``."""
    environment = {"HUBBUB_SECRET": secret, **{f"HUBBUB_{name}": value for name, value in variables.items()}}
    return CliRunner().invoke(main, ["token", *arguments], env=environment)


def claims(answer: Result) -> dict[str, object]:
    """What the token claims that was printed, signed with the first secret."""
    assert answer.exit_code == 0, answer.output
    options = {"verify_aud": False}
    decoded: dict[str, object] = jwt.decode(answer.output.strip(), SECRET, ["HS256"], options=options)
    return decoded


def test_a_token_for_a_connection_has_a_user_and_an_end() -> None:
    said = claims(token("ada"))
    assert sorted(said) == ["exp", "iat", "sub"]
    assert said["sub"] == "ada"
    assert said["exp"] == pytest.approx(time.time() + 3_600, abs=10)


def test_a_token_for_a_subscription_names_its_room_and_the_rest_is_as_told() -> None:
    arguments = ("--room", "chat:a", "--ttl", "90m", "--claim", 'info={"a":[1]}', "--claim", "name=Ada L")
    said = claims(token("ada", *arguments, TOKEN_AUDIENCE="chat", TOKEN_ISSUER="us"))
    assert said["channel"] == "chat:a"
    assert (said["info"], said["name"]) == ({"a": [1]}, "Ada L")
    assert (said["aud"], said["iss"]) == ("chat", "us")
    assert said["exp"] == pytest.approx(time.time() + 5_400, abs=10)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "Give a USER"),
        (["ada", "--inspect", "x"], 2, "Give a USER"),
        (["ada", "--ttl", "soon"], 2, "expected a time"),
        (["ada", "--claim", "x"], 2, "looks like name=value"),
        (["ada", "--claim", "sub=eve"], 2, "The claim sub is made of USER"),
        (["ada", "--room", "a b"], 1, "Invalid room name"),
        (["x" * 256], 1, "at most 255 bytes"),
        (["--inspect", "nonsense"], 1, "This is no token"),
        (["--inspect", "x" * 9_000], 1, "longer than 8 KiB"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused(arguments: list[str], status: int, said: str) -> None:
    answer = token(*arguments)
    assert answer.exit_code == status
    assert said in answer.output
    assert isinstance(answer.exception, SystemExit), "an error of its own would be a traceback"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "`hubbub serve` makes one in hubbub-data/secrets.toml"),
        ({"HOST": "0.0.0.0"}, "set HUBBUB_SECRET"),
        ({"JWKS": "https://id.example.com/keys"}, "signed by others"),
    ],
)
def test_without_a_secret_it_says_where_one_comes_from(variables: dict[str, str], said: str) -> None:
    answer = token("ada", secret="", **variables)
    assert answer.exit_code == 1
    assert said in answer.output


@pytest.mark.parametrize(
    ("made_with", "options", "status", "verdict"),
    [
        (SECRET, {}, 0, "yes: signed with secret 1 of 2"),
        (OLD_SECRET, {}, 0, "yes: signed with secret 2 of 2"),
        (OLD_SECRET, {"ttl": -3_600.0}, 1, "no: expired; signed with secret 2 of 2"),
        ("a" * 40, {}, 1, "no: signed with another secret"),
        (SECRET, {"claims": {"aud": "other"}}, 1, "no: InvalidAudienceError"),
    ],
)
def test_inspecting_shows_what_is_in_it_and_whether_it_is_good(
    made_with: str, options: dict[str, float], status: int, verdict: str
) -> None:
    answer = token("--inspect", Tokens(made_with).issue("ada", **options))
    assert answer.exit_code == status
    assert '"alg":"HS256"' in answer.output
    assert '"sub": "ada"' in answer.output
    assert "kind    connection" in answer.output
    assert answer.output.splitlines()[-1] == f"good    {verdict}"


def test_inspecting_reads_a_token_from_the_input() -> None:
    given = Tokens(SECRET).issue("ada", claims={"channel": "chat:a"}) + "\n"
    answer = CliRunner().invoke(main, ["token", "--inspect", "-"], given, {"HUBBUB_SECRET": SECRET})
    assert answer.exit_code == 0
    assert "kind    subscription to chat:a" in answer.output
