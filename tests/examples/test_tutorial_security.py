"""Who gets into the tutorial's app: five ways for a token, how long, and how often. Over stock uvicorn."""

import asyncio
import json
import time
from collections.abc import Callable

import jwt
import pytest
from credentials import SINGLE, WAYS, Mint, answer_to, show
from server_process import ServerProcess
from socket_client import UNAUTHORIZED, closed, heard, heard_json, opened, refusal, rejected

from hubbub.auth import Tickets
from hubbub.core.users import User

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
    async with tutorial.http() as http:
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
    async with tutorial.http() as http:
        answer = await http.post("/ticket", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json() == {"detail": "Unauthorized"}
        assert (await http.get("/ticket", headers=headers)).status_code == 405


async def test_a_cookie_is_a_login_too(tutorial: ServerProcess, mint: Mint) -> None:
    async with tutorial.http(cookies={"session": mint.token()}) as http:
        answer = await http.post("/ticket")
    assert answer.status_code == 200
    tutorial.secret(answer.json()["ticket"])
