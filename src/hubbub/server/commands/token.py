"""``hubbub token``: making tokens for clients, and looking into them."""

import sys
import time
from pathlib import Path
from typing import Final

import click
import jwt
import msgspec

from hubbub.auth import MAX_TOKEN_BYTES, MAX_USER_ID_BYTES, Tokens
from hubbub.core.errors import InvalidRoomName, Unauthorized
from hubbub.core.limits import Limits
from hubbub.gateway import TokenExpired, TokenVerifier
from hubbub.server.commands.options import configured, read_configuration, told
from hubbub.server.commands.talking import data_of
from hubbub.server.configuration import Configuration
from hubbub.server.own_secrets import secrets_file
from hubbub.server.quantities import Seconds
from hubbub.server.settings import Settings

RESERVED: Final = {"sub": "USER", "exp": "--ttl", "iat": "--ttl", "channel": "--room"}
"""Claims that have an argument of their own."""


def _time(ctx: click.Context, param: click.Parameter, value: str) -> Seconds:
    try:
        return Seconds.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(short_help="Make a token for a user, or look into one.")
@click.argument("user", required=False)
@click.option(
    "--ttl",
    metavar="TIME",
    callback=_time,
    default="1h",
    show_default=True,
    help="How long it is good, like 7d or 30s.",
)
@click.option("--room", help="For a subscription: the room that it lets its user into.")
@click.option(
    "--claim", "claims", multiple=True, metavar="NAME=VALUE", help="One more claim. JSON, or else text."
)
@click.option(
    "--inspect",
    "token",
    metavar="TOKEN",
    help="Show what this token says, and whether it is good. - reads it.",
)
@configured
def token(
    user: str | None,
    ttl: Seconds,
    room: str | None,
    claims: tuple[str, ...],
    token: str | None,
    file: Path | None,
) -> None:
    """Make a token for USER, signed with the server's secret, or look into one.

    An empty USER is somebody anonymous. With --inspect it ends with 1 if the token is not good.
    """
    if (user is None) is (token is None):
        raise click.UsageError("Give a USER, or --inspect TOKEN")
    configuration = read_configuration(file)
    if token is not None:
        _inspect(sys.stdin.readline().strip() if token == "-" else token, configuration.settings)
    elif user is not None:
        click.echo(make_token(configuration, user, ttl, room, _claims(claims)))


def make_token(
    configuration: Configuration,
    user: str,
    ttl: float,
    room: str | None = None,
    claims: dict[str, object] | None = None,
) -> str:
    """A token for a connection, or with a room for a subscription.

    Raises:
        click.ClickException: if there is no secret, or the user or room cannot be.
    """
    settings = configuration.settings
    if len(user.encode()) > MAX_USER_ID_BYTES:
        raise click.ClickException(f"A user's id has at most {MAX_USER_ID_BYTES} bytes")
    if not settings.secret:
        raise click.ClickException(_no_secret(settings))
    said = dict(claims or {})
    if room is not None:
        try:
            Limits().check_room_name(room)
        except InvalidRoomName as error:
            raise click.ClickException(str(error)) from error
        said["channel"] = room
    with told():
        tokens = Tokens(settings.secret, audience=settings.token_audience, issuer=settings.token_issuer)
        return tokens.issue(user, ttl=ttl, claims=said)


def _no_secret(settings: Settings) -> str:
    if settings.jwks:
        return "This server's tokens are signed by others: it knows their public keys only (jwks)"
    if settings.local and not settings.keeps_nothing:
        kept = secrets_file(settings)
        return f"There is no secret yet: `hubbub serve` makes one in {kept}; or set HUBBUB_SECRET"
    return "There is no secret: set HUBBUB_SECRET, or secret in hubbub.toml"


def _claims(texts: tuple[str, ...]) -> dict[str, object]:
    claims: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--claim looks like name=value, not {text!r}")
        if name in RESERVED:
            raise click.UsageError(f"The claim {name} is made of {RESERVED[name]}")
        claims[name] = data_of(value)
    return claims


def _inspect(token: str, settings: Settings) -> None:
    try:
        if len(token) > MAX_TOKEN_BYTES:
            raise jwt.DecodeError("longer than 8 KiB")
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise click.ClickException(f"This is no token: {error}") from error
    click.echo(f"header  {msgspec.json.encode(header).decode()}")
    click.echo(f"claims  {msgspec.json.format(msgspec.json.encode(claims)).decode()}")
    kind = f"subscription to {claims['channel']}" if "channel" in claims else "connection"
    click.echo(f"kind    {kind}")
    for name in ("iat", "exp"):
        if isinstance(when := claims.get(name), int | float):
            click.echo(f"{name:7} {_moment(when)}")
    said, good = _verdict(token, settings)
    click.echo(f"good    {said}")
    if not good:
        sys.exit(1)


def _verdict(token: str, settings: Settings) -> tuple[str, bool]:
    if not settings.secret:
        return "unknown: there is no secret to check it with", False
    for number, secret in enumerate(settings.secret, 1):
        verifier = TokenVerifier(secret, audience=settings.token_audience, issuer=settings.token_issuer)
        try:
            verifier.claims(token)
        except TokenExpired as error:
            return f"no: {error.detail}; signed with secret {number} of {len(settings.secret)}", False
        except Unauthorized as error:
            refusal = error.detail
            if refusal != "InvalidSignatureError":
                return f"no: {refusal}", False
        else:
            return f"yes: signed with secret {number} of {len(settings.secret)}", True
    return "no: signed with another secret", False


def _moment(when: float) -> str:
    left = Seconds(abs(round(when - time.time())))
    side = f"in {left}" if when > time.time() else f"{left} ago"
    try:
        return f"{time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(when))} ({side})"
    except (OverflowError, ValueError, OSError):
        return f"{when:g}"
