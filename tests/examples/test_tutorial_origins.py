"""Which pages may open the tutorial's sockets, and who may send alerts; what of it is logged."""

import pytest
from credentials import SINGLE, WAYS, Mint, answer_to, show
from server_process import ServerProcess
from socket_client import UNAUTHORIZED, heard_json, opened, refusal, rejected
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

ROUTES = ["/ws", "/ws/client/900", "/ws/room/origins", "/chat/origins", "/ws/alerts"]


def foreign(port: int) -> list[str]:
    """Origins of pages that have no business here, however near they look."""
    return [
        f"http://127.0.0.1:{port + 1}",
        "http://127.0.0.1",
        f"http://localhost:{port}",
        f"http://127.0.0.1:{port}.evil.com",
        f"http://127.0.0.1.evil.com:{port}",
        f"http://evil127.0.0.1:{port}",
        f"http://evil.com/?http://127.0.0.1:{port}",
        f"http://evil.com#127.0.0.1:{port}",
        f"http://127.0.0.1:{port}@evil.com",
        f"http://evil.com@127.0.0.1:{port}",
        f"127.0.0.1:{port}",
        f"//127.0.0.1:{port}",
        "http://evil.com",
        "https://evil.com:443",
        "null",
        "",
        "file://",
        "*",
        "http://[::1",
        "http://127.0.0.1:99999",
    ]


@pytest.mark.parametrize("way", WAYS)
async def test_a_foreign_page_is_refused_before_the_upgrade_whatever_it_shows(
    tutorial: ServerProcess, mint: Mint, way: str
) -> None:
    path, options, _ = show(way, await mint.credentials(way))
    for origin in foreign(tutorial.port):
        assert await rejected(tutorial, path, origin=origin, **options) == 403, origin
    if way in SINGLE:
        single, options, _ = show(way, mint.token(), SINGLE[way])
        assert await rejected(tutorial, single, origin="http://evil.com", **options) == 403
    # The same credentials are good from home: it was the origin that counted.
    path, options, first = show(way, await mint.credentials(way))
    async with opened(tutorial, path, origin=tutorial.origin, **options) as client:
        for message in first:
            await client.send(message)
        assert (await heard_json(client))["type"] == "auth_ok"


@pytest.mark.parametrize("path", ROUTES)
async def test_a_foreign_page_is_refused_where_no_login_is_asked_for_as_well(
    tutorial: ServerProcess, path: str
) -> None:
    for origin in [*foreign(tutorial.port)[:4], "null", ""]:
        assert await rejected(tutorial, path, origin=origin) == 403, origin
    for home in (tutorial.origin, None):
        async with opened(tutorial, path, origin=home):
            pass


async def test_the_origin_is_compared_with_the_host_that_was_asked_for(tutorial: ServerProcess) -> None:
    async def status(origin: str) -> int:
        url = "ws://chat.example.com/ws"
        try:
            async with connect(url, host="127.0.0.1", port=tutorial.port, origin=Origin(origin), proxy=None):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    for origin in ("https://chat.example.com", "http://chat.example.com", "https://chat.example.com:443"):
        assert await status(origin) == 101
    for origin in (tutorial.origin, "https://chat.example.com:8443", "https://example.com"):
        assert await status(origin) == 403


# The API key


async def alert(tutorial: ServerProcess, **headers: str | bytes) -> int:
    """The status of a broadcast with these headers."""
    async with tutorial.http() as http:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await http.post("/admin/broadcast", params={"message": "x"}, headers=named)
    return answer.status_code


async def test_the_api_key_is_taken_from_two_headers(tutorial: ServerProcess, api_key: str) -> None:
    assert await alert(tutorial, X_API_Key=api_key) == 200
    assert await alert(tutorial, x_api_key=api_key) == 200
    assert await alert(tutorial, Authorization=f"apikey {api_key}") == 200
    assert await alert(tutorial, Authorization=f"ApiKey  {api_key}") == 200


async def test_anything_else_is_no_api_key(tutorial: ServerProcess, mint: Mint, api_key: str) -> None:
    wrong: list[dict[str, str | bytes]] = [
        {},
        {"X_API_Key": ""},
        {"X_API_Key": "wrong"},
        {"X_API_Key": api_key[:-1]},
        {"X_API_Key": api_key + "x"},
        {"X_API_Key": api_key.swapcase()},
        {"X_API_Key": b"\xff\xfe\xe9"},
        {"X_API_Key": "é".encode()},
        {"Authorization": "apikey"},
        {"Authorization": "apikey wrong"},
        {"Authorization": b"apikey \xff"},
        {"Authorization": api_key},
        {"Authorization": f"Bearer {api_key}"},
        {"Authorization": f"Bearer {mint.token()}"},
        {"Cookie": f"X-API-Key={api_key}"},
    ]
    for headers in wrong:
        assert await alert(tutorial, **headers) == 401, headers


async def test_an_api_key_in_the_url_does_not_count_and_is_not_logged(
    tutorial: ServerProcess, api_key: str
) -> None:
    async with tutorial.http() as http:
        for name in ("api_key", "token"):
            answer = await http.post("/admin/broadcast", params={"message": "x", name: api_key})
            assert answer.status_code == 401


async def test_an_opaque_credential_is_not_logged_either(tutorial: ServerProcess) -> None:
    for way in WAYS:
        opaque = tutorial.secret(f"opaque-{way.replace('_', '-')}-credential-0123456789")
        assert (await answer_to(tutorial, show(way, opaque)))[1] == 1008
    opaque = tutorial.secret("opaque-authorization-0123456789")
    headers = {"Authorization": f"Bearer {opaque}", "X-API-Key": opaque}
    assert await refusal(tutorial, "/ws/query", additional_headers=headers) == (UNAUTHORIZED, 1008)
    async with tutorial.http() as http:
        assert (await http.post(f"/ticket?token={opaque}", headers=headers)).status_code == 401
