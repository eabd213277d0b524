"""Commands that talk to a running server: where it is, and the key that lets them in."""

import ipaddress
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

import click

from hubbub.server.commands.options import configured, read_configuration
from hubbub.server.configuration import URL
from hubbub.server.settings import Settings

C = TypeVar("C", bound=Callable[..., Any])

TIMEOUT: Final = 10.0
"""Seconds that the server may take to answer."""

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def talking(command: C) -> C:
    """``--url``, ``--insecure`` and ``--config``."""
    for option in (
        click.option(
            "--insecure",
            is_flag=True,
            help="Send keys and tokens over http: to other machines, in the clear.",
        ),
        click.option(
            "--url",
            metavar="URL",
            envvar=URL,
            help=f"Where the server is.  [{URL}; default: where the configuration has it]",
        ),
    ):
        command = option(command)
    return configured(command)


def with_api_key(command: C) -> C:
    """``--api-key``."""
    text = "The key of its HTTP API.  [default: that of the configuration, or the server's own]"
    return click.option("--api-key", metavar="KEY", help=text)(command)


def address_of(settings: Settings, url: str | None, insecure: bool, *, operator: bool = False) -> str:
    """The URL of the server, without a slash at its end.

    Args:
        settings: where it is, if no URL is given.
        url: where it is.
        insecure: keys may go over plain HTTP to other machines.
        operator: what is asked for is on the operator port, if there is one.

    Raises:
        click.ClickException: if it is no URL, or one over which others would hear the key.
    """
    if url is None:
        scheme = "http" if settings.ssl_certfile is None else "https"
        host, port = settings.host, settings.port
        if operator and settings.operator_port is not None:
            host, port = settings.operator_host, settings.operator_port
        host = _EVERYWHERE.get(host, host)
        url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    for socket, page in (("ws://", "http://"), ("wss://", "https://")):
        url = page + url.removeprefix(socket) if url.startswith(socket) else url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.ClickException(f"The address of a server looks like https://hub.example.com, not {url!r}")
    if parts.scheme == "http" and not is_this_machine(url) and not insecure:
        raise click.ClickException(f"{url} would send the key in the clear: use https:, or say --insecure")
    return url.rstrip("/")


def is_this_machine(url: str) -> bool:
    """Whether what goes to this URL stays on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Api:
    """The HTTP API of a running server."""

    url: str
    key: str

    @classmethod
    def of(cls, file: Path | None, url: str | None, key: str | None, insecure: bool) -> "Api":
        """By the options of a command. Raises `click.ClickException` where there is no key."""
        settings = read_configuration(file).settings
        known = key or next(iter(settings.api_key), None)
        if known is None:
            raise click.ClickException("There is no API key: give --api-key or HUBBUB_API_KEY")
        return cls(address_of(settings, url, insecure, operator=True), known)

    def call(self, method: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        """The result of a method. Raises `click.ClickException` for an error, wherever it is."""
        headers = {"Content-Type": "application/json", "X-API-Key": self.key}
        body = json.dumps(arguments).encode()
        request = urllib.request.Request(f"{self.url}/api/{method}", body, headers)
        try:
            with self._opener().open(request, timeout=TIMEOUT) as response:
                answer = json.loads(response.read())
        except urllib.error.HTTPError as error:
            error.close()
            self._refused(error)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise click.ClickException(f"Cannot reach {self.url}: {reason}") from error
        if failure := answer.get("error"):
            raise click.ClickException(f"The server says: {failure.get('message')} ({failure.get('code')})")
        result: dict[str, Any] = answer.get("result") or {}
        return result

    def _opener(self) -> urllib.request.OpenerDirector:
        proxies = [urllib.request.ProxyHandler({})] if is_this_machine(self.url) else []
        return urllib.request.build_opener(*proxies, _NoRedirect)

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        said = {
            401: "The server refuses the API key",
            403: "The server refuses the API key",
            404: f"There is no HTTP API at {self.url}: is this a Hubbub, and has it an API key?",
        }.get(error.code, f"{self.url} answers {error.code} {error.reason}")
        raise click.ClickException(said) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to the server that was named, and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        """Do not follow."""


def data_of(text: str) -> object:
    """What was meant: JSON, or else text as it stands."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def line_of(data: object) -> str:
    """Data on one line: JSON."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
