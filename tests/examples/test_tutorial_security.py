"""Who gets into the tutorial's app: five ways for a token, origins, the API key. Over stock uvicorn."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from server_process import ServerProcess
from socket_client import UNAUTHORIZED, closed, heard, heard_json, opened, refusal, rejected
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from hubbub.auth import Tickets, Tokens
from hubbub.core.users import User

WAYS = ("subprotocol", "ticket", "query", "cookie", "first_message")
SINGLE = {"query": "/ws/query", "first_message": "/ws/secure", "cookie": "/ws/cookie"}

Shown = tuple[str, dict[str, Any], list[str]]
"""A path, the options of `connect`, and the first messages: one way of showing a token."""


def show(way: str, token: str, path: str = "/ws/me") -> Shown:
    """How a client shows a token."""
    if way == "subprotocol":
        return path, {"subprotocols": ["bearer", token]}, []
    if way == "cookie":
        return path, {"additional_headers": {"Cookie": f"session={token}"}}, []
    if way == "first_message":
        return path, {}, [json.dumps({"token": token})]
    return f"{path}?{httpx.QueryParams({'ticket' if way == 'ticket' else 'token': token})}", {}, []


class Mint:
    """Makes credentials, good and bad, and sees to it that none may be in the log."""

    def __init__(self, server: ServerProcess, secret: str) -> None:
        self.server = server
        self.key = secret
        self._tokens = Tokens(secret)

    async def ticket(self, user: str = "ada", **headers: str) -> str:
        """One from ``POST /ticket``, for the bearer of a token."""
        async with httpx.AsyncClient(base_url=self.server.origin) as http:
            answer = await http.post(
                "/ticket", headers={"Authorization": f"Bearer {self.token(user)}", **headers}
            )
        assert answer.status_code == 200
        assert list(answer.json()) == ["ticket"]
        return self.server.secret(answer.json()["ticket"])

    def token(self, user: str = "ada", **claims: object) -> str:
        """A valid one, unless the claims make it something else."""
        payload = {"sub": user, "exp": int(time.time()) + 600, **claims}
        kept = {name: value for name, value in payload.items() if value is not None}
        return self.server.secret(jwt.encode(kept, self.key, "HS256"))

    async def credentials(self, way: str, user: str = "ada") -> str:
        """A token, or a ticket where that is the way."""
        return await self.ticket(user) if way == "ticket" else self.token(user)


@pytest.fixture
def mint(tutorial: ServerProcess, secret: str) -> Mint:
    return Mint(tutorial, secret)


async def answer_to(server: ServerProcess, shown: Shown) -> tuple[list[str | bytes], int, str]:
    """All that a client hears, the close code and the reason."""
    path, options, first = shown
    async with opened(server, path, **options) as client:
        for message in first:
            await client.send(message)
        return await closed(client)


# Let in


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_opens_the_route_for_all_ways(tutorial: ServerProcess, mint: Mint, way: str) -> None:
    path, options, first = show(way, await mint.credentials(way, "Ада"))
    async with opened(tutorial, path, **options) as client:
        for message in first:
            await client.send(message)
        assert await heard_json(client) == {"type": "auth_ok", "user": "Ада"}
        await client.send("hi")
        assert await heard(client) == "[Ада]: hi"
        assert client.subprotocol == ("bearer" if way == "subprotocol" else None)


async def test_option_a_a_token_in_the_query(tutorial: ServerProcess, mint: Mint) -> None:
    async with opened(tutorial, f"/ws/query?token={mint.token()}") as client:
        assert await heard(client) == '{"type":"auth_ok","user":"ada"}'
        await client.send("hi")
        assert await heard(client) == "[ada]: hi"


async def test_option_b_a_token_as_the_first_message(tutorial: ServerProcess, mint: Mint) -> None:
    async with opened(tutorial, "/ws/secure") as client:
        await client.send(json.dumps({"token": mint.token(), "other": [1]}))
        assert (await heard_json(client))["type"] == "auth_ok"
        for data in ({"x": [1, None, "é"]}, "hi", 5, [], {"token": "again"}):
            await client.send(json.dumps(data))
            assert await heard_json(client) == {"echo": data}


async def test_option_c_a_session_cookie(tutorial: ServerProcess, mint: Mint) -> None:
    headers = {"Cookie": f"session={mint.token()}"}
    async with opened(tutorial, "/ws/cookie", additional_headers=headers) as client:
        assert await heard_json(client) == {"type": "auth_ok", "user": "ada"}
        await client.send("hi")
        assert await heard(client) == "[ada]: hi"


@pytest.mark.parametrize(
    "cookies",
    ["a=b; {}; c=d", 'theme={{"dark":true}}; {}', "bad name=1; {}", "{}; x=é", "=; ;; {}"],
)
async def test_the_cookie_is_found_among_odd_ones(tutorial: ServerProcess, mint: Mint, cookies: str) -> None:
    headers = {"Cookie": cookies.format(f"session={mint.token()}").encode().decode("latin-1")}
    async with opened(tutorial, "/ws/cookie", additional_headers=headers) as client:
        assert await heard_json(client) == {"type": "auth_ok", "user": "ada"}


async def test_the_answer_to_the_handshake_never_repeats_the_token(
    tutorial: ServerProcess, mint: Mint
) -> None:
    token = mint.token()
    async with opened(tutorial, "/ws/me", subprotocols=["bearer", token]) as client:
        assert client.response is not None
        assert client.response.headers["Sec-WebSocket-Protocol"] == "bearer"
        assert token not in str(list(client.response.headers.raw_items()))


# Refused


DEFECTS: dict[str, Callable[[Mint], str]] = {
    "nothing": lambda mint: "",
    "garbage": lambda mint: "garbage",
    "no segments": lambda mint: "...",
    "another key": lambda mint: jwt.encode({"sub": "ada", "exp": 4e9}, "x" * 40, "HS256"),
    "unsigned": lambda mint: jwt.encode({"sub": "ada", "exp": 4e9}, None, "none"),
    "another algorithm": lambda mint: jwt.encode({"sub": "ada", "exp": 4e9}, mint.key + mint.key, "HS512"),
    "expired": lambda mint: mint.token(exp=int(time.time()) - 40),
    "for later": lambda mint: mint.token(nbf=int(time.time()) + 100),
    "no exp": lambda mint: mint.token(exp=None),
    "no sub": lambda mint: mint.token(sub=None),
    "empty sub": lambda mint: mint.token(sub=""),
    "another audience": lambda mint: mint.token(aud="mail"),
    "unknown crit": lambda mint: jwt.encode(
        {"sub": "ada", "exp": 4e9}, mint.key, "HS256", headers={"crit": ["x"], "x": 1}
    ),
    "a ticket of ours in place of a token": lambda mint: Tickets(mint.key, _first).issue(User("ada")),
}


async def _first(key: str, seconds: float) -> bool:
    return True


@pytest.mark.parametrize("way", ["subprotocol", "query", "cookie", "first_message"])
@pytest.mark.parametrize("defect", DEFECTS)
async def test_all_defects_get_one_answer(tutorial: ServerProcess, mint: Mint, way: str, defect: str) -> None:
    token = DEFECTS[defect](mint)
    if way == "subprotocol" and not token:
        token = "empty"  # a header cannot carry an empty subprotocol
    expected = (UNAUTHORIZED, 1008, "Unauthorized")
    assert await answer_to(tutorial, show(way, token)) == expected
    if way in SINGLE:
        assert await answer_to(tutorial, show(way, token, SINGLE[way])) == expected


@pytest.mark.parametrize("path", [*SINGLE.values(), "/ws/me"])
async def test_no_credentials_at_all_are_refused(tutorial: ServerProcess, path: str) -> None:
    sent = ["{}"] if path in ("/ws/secure", "/ws/me") else []
    assert await refusal(tutorial, path, *sent) == (UNAUTHORIZED, 1008)


@pytest.mark.parametrize("path", SINGLE.values())
@pytest.mark.parametrize("way", WAYS)
async def test_a_route_with_one_way_takes_no_other(
    tutorial: ServerProcess, mint: Mint, path: str, way: str
) -> None:
    if SINGLE.get(way) == path:
        return
    shown, options, _ = show(way, await mint.credentials(way), path)
    sent = ["{}"] if path == "/ws/secure" else []
    assert await refusal(tutorial, shown, *sent, **options) == (UNAUTHORIZED, 1008)


async def test_the_first_credentials_found_decide_and_nothing_is_tried_after_a_wrong_one(
    tutorial: ServerProcess, mint: Mint
) -> None:
    good, path = mint.token(), "/ws/me?token="
    cookie = {"Cookie": f"session={good}"}
    assert await refusal(tutorial, f"{path}wrong", additional_headers=cookie) == (UNAUTHORIZED, 1008)
    assert await refusal(tutorial, path, additional_headers=cookie) == (UNAUTHORIZED, 1008)
    wrong = ["bearer", "wrong"]
    assert await refusal(tutorial, path + good, subprotocols=wrong) == (UNAUTHORIZED, 1008)


@pytest.mark.parametrize(
    "offered", [["bearer"], ["chat", "bearer"], ["bearer", "a", "b"], ["token", "x"]], ids=",".join
)
async def test_other_subprotocols_are_no_token(tutorial: ServerProcess, offered: list[str]) -> None:
    assert await refusal(tutorial, "/ws/me", "{}", subprotocols=offered) == (UNAUTHORIZED, 1008)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "null",
        "[]",
        '"token"',
        "{}",
        '{"token":null}',
        '{"token":5}',
        '{"token":["a"]}',
        '{"token":"\\ud800"}',
        '{"Token":"a"}',
        "[" * 5_000,
        b"",
        b'{"token":"a"}',
        "x" * 8_193,
        "é" * 4_097,
        json.dumps({"token": "x" * 8_200}),
        "x" * 70_000,
    ],
    ids=lambda message: str(message)[:20],
)
async def test_a_wrong_first_message_is_refused(tutorial: ServerProcess, message: str | bytes) -> None:
    assert await refusal(tutorial, "/ws/secure", message) == (UNAUTHORIZED, 1008)


async def test_a_good_token_in_a_binary_or_an_oversized_first_message_is_refused(
    tutorial: ServerProcess, mint: Mint
) -> None:
    good = json.dumps({"token": mint.token()})
    padded = json.dumps({"token": mint.token(), "padding": "x" * 8_192})
    for message in (good.encode(), padded):
        assert await refusal(tutorial, "/ws/secure", message) == (UNAUTHORIZED, 1008)


async def test_leaving_before_the_first_message_harms_nobody(tutorial: ServerProcess, mint: Mint) -> None:
    for _ in range(3):
        async with opened(tutorial, "/ws/secure") as client:
            await client.close()
        async with opened(tutorial, "/ws/secure") as client:
            client.transport.abort()
    async with opened(tutorial, "/ws/secure") as client:
        await client.send(json.dumps({"token": mint.token()}))
        assert (await heard_json(client))["type"] == "auth_ok"


# Expiry


@pytest.mark.parametrize("way", ["query", "subprotocol", "cookie", "first_message"])
async def test_an_open_socket_is_closed_4401_when_its_token_ends(
    tutorial: ServerProcess, mint: Mint, way: str
) -> None:
    # The leeway of 30 s is nearly over.
    path, options, first = show(way, mint.token(exp=int(time.time()) - 28))
    async with opened(tutorial, path, **options) as client:
        for message in first:
            await client.send(message)
        assert (await heard_json(client))["type"] == "auth_ok"
        await client.send("hi")
        assert await heard(client) == "[ada]: hi"
        assert await closed(client) == ([], 4401, "token expired")


async def test_a_socket_opened_with_a_ticket_ends_with_the_token_the_ticket_was_made_from(
    tutorial: ServerProcess, mint: Mint
) -> None:
    token = mint.token(exp=int(time.time()) - 27)
    async with httpx.AsyncClient(base_url=tutorial.origin) as http:
        answer = await http.post("/ticket", headers={"Authorization": f"Bearer {token}"})
    ticket = tutorial.secret(answer.json()["ticket"])
    async with opened(tutorial, f"/ws/me?ticket={ticket}") as client:
        assert (await heard_json(client))["type"] == "auth_ok"
        assert (await closed(client))[1] == 4401


# Tickets


async def test_a_ticket_opens_once_even_for_many_at_the_same_moment(
    tutorial: ServerProcess, mint: Mint
) -> None:
    ticket = await mint.ticket()

    async def attempt() -> str:
        async with opened(tutorial, f"/ws/me?ticket={ticket}") as client:
            return str((await heard_json(client))["type"])

    results = await asyncio.gather(*(attempt() for _ in range(10)))
    assert sorted(results) == ["auth_ok"] + ["error"] * 9
    assert await refusal(tutorial, f"/ws/me?ticket={ticket}") == (UNAUTHORIZED, 1008)


async def test_a_token_is_no_ticket_over_the_socket(tutorial: ServerProcess, mint: Mint) -> None:
    assert await refusal(tutorial, f"/ws/me?ticket={mint.token(jti='1')}") == (UNAUTHORIZED, 1008)


async def test_a_ticket_is_bound_to_the_origin_it_was_asked_for_from(
    tutorial: ServerProcess, mint: Mint
) -> None:
    home, elsewhere = tutorial.origin, "https://evil.example.com"
    ticket = await mint.ticket(Origin=home)
    assert await rejected(tutorial, f"/ws/me?ticket={ticket}", origin=elsewhere) == 403
    assert await refusal(tutorial, f"/ws/me?ticket={ticket}") == (UNAUTHORIZED, 1008)
    async with opened(tutorial, f"/ws/me?ticket={ticket}", origin=home) as client:
        assert (await heard_json(client))["type"] == "auth_ok"
    stolen = await mint.ticket(Origin=elsewhere)
    assert await refusal(tutorial, f"/ws/me?ticket={stolen}", origin=home) == (UNAUTHORIZED, 1008)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic YTpi"},
        {"Cookie": "session=wrong"},
        {"Cookie": "other=x"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"Cookie": b"session=\xff\xfe"},
    ],
    ids=str,
)
async def test_a_ticket_needs_a_login(tutorial: ServerProcess, headers: dict[str, str | bytes]) -> None:
    async with httpx.AsyncClient(base_url=tutorial.origin) as http:
        answer = await http.post("/ticket", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json() == {"detail": "Unauthorized"}
        assert (await http.get("/ticket", headers=headers)).status_code == 405


async def test_a_cookie_is_a_login_too(tutorial: ServerProcess, mint: Mint) -> None:
    async with httpx.AsyncClient(base_url=tutorial.origin, cookies={"session": mint.token()}) as http:
        answer = await http.post("/ticket")
    assert answer.status_code == 200
    tutorial.secret(answer.json()["ticket"])


# Origins

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
    for origin in foreign(tutorial.port):
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
    async with httpx.AsyncClient(base_url=tutorial.origin) as http:
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
    async with httpx.AsyncClient(base_url=tutorial.origin) as http:
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
    async with httpx.AsyncClient(base_url=tutorial.origin) as http:
        assert (await http.post(f"/ticket?token={opaque}", headers=headers)).status_code == 401
