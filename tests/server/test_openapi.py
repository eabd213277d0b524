"""Schemathesis takes the server at its word: what the OpenAPI document says holds for whatever is sent."""

import secrets
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from server_process import HUBBUB, ServerProcess, running

from hubbub.server.app import create_app
from hubbub.server.settings import Settings

KEY = secrets.token_urlsafe(32)
SECRET = secrets.token_urlsafe(32)
DOCUMENT = create_app(Settings(secret=(SECRET,), api_key=(KEY,), broker="memory://")).openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("openapi")
    given = {"HUBBUB_SECRET": SECRET, "HUBBUB_API_KEY": KEY}
    with running([*HUBBUB, "serve", "--drain", "0"], folder / "log", given, folder=folder) as server:
        yield server


def test_the_document_describes_every_method_of_the_api() -> None:
    paths = DOCUMENT["paths"]
    assert {"/api/publish", "/api/history", "/api/batch", "/api/revoke_token", "/health"} <= set(paths)


@SCHEMA.parametrize()
@settings(
    max_examples=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
def test_no_request_fails_the_server_or_breaks_its_schema(
    case: schemathesis.Case, server: ServerProcess
) -> None:
    headers = {"X-API-Key": KEY} if case.path.startswith("/api") else {}
    case.call_and_validate(base_url=server.origin, headers=headers)
