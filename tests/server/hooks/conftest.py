"""``hubbub serve`` in a process of its own, with all hooks, and the backend that it asks."""

from collections.abc import Iterator

import pytest
from hook_backend import EVENTS, HookBackend, backend_running
from server_process import HUBBUB, ServerProcess, running

SECRET = "a secret of the tests of hooks, no other"
API_KEY = "an API key of the tests of hooks, no other"
STATIC = "a-key-that-only-the-backend-knows"
TIMEOUT = 1.0
CONFIGURATION = f"""
secret = "{SECRET}"
api_key = "{API_KEY}"
chat = false
plain_rooms = false
personal_room = "mine:{{id}}"
hook_headers = ["Cookie", "authorization"]
hook_client_headers = ["Authorization", "x-device"]
hook_static_headers = ["X-Key: {STATIC}"]
hook_timeout = {TIMEOUT}
hook_requests = 5
protection = false

[rooms."asked:{{name}}"]
history_size = 10
subscribe_hook = true
publish_hook = true
sub_refresh_hook = true

[rooms."half:{{name}}"]
subscribe_hook = true
allow_publish = "token"

[rooms."free:{{name}}"]
allow_subscribe = "user"
allow_publish = "user"

[rooms."mine:{{name}}"]
subscribe_hook = true
"""


@pytest.fixture(scope="session")
def listening_backend() -> Iterator[HookBackend]:
    with backend_running() as backend:
        yield backend


@pytest.fixture
def backend(listening_backend: HookBackend) -> HookBackend:
    """As if nobody had asked it before."""
    listening_backend.reset()
    listening_backend.says("connect", {"result": {"user": "ada"}})
    return listening_backend


@pytest.fixture(scope="session")
def server(
    listening_backend: HookBackend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("hooks")
    hooks = "".join(f'{event}_hook = "{listening_backend.address(event)}"\n' for event in EVENTS)
    (folder / "hubbub.toml").write_text(hooks + CONFIGURATION)
    command = [*HUBBUB, "serve", "--drain", "0", "--log-level", "debug"]
    with running(command, folder / "log", folder=folder) as server:
        for secret in (SECRET, API_KEY, STATIC):
            server.secret(secret)
        yield server
