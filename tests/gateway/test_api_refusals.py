"""Who may not use the API, and what it does not take."""

import asyncio
import json
from typing import Any

import cent
import httpx
import pytest
from api_servers import KEY, OLD_KEY, api
from gateway_sdk import Server, room

from hubbub import ConfigurationError
from hubbub.keys import Keys

JSON = {"content-type": "application/json"}
GOOD = {**JSON, "x-api-key": KEY}


async def ask(server: Server, method: str = "info", body: Any = b"{}", **options: Any) -> httpx.Response:
    """Ask by hand, with a good key unless told otherwise."""
    options.setdefault("headers", GOOD)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with server.http() as client:
        return await client.post(f"/api{method and '/'}{method}", content=content, **options)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": KEY},
        {"x-api-key": OLD_KEY},
        {"authorization": f"apikey {KEY}"},
        {"authorization": f"ApiKey  {OLD_KEY}"},
    ],
)
async def test_any_of_the_keys_opens_in_either_header(api_server: Server, headers: dict[str, str]) -> None:
    assert (await ask(api_server, headers={**JSON, **headers})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ""},
        {"x-api-key": KEY[:-1]},
        {"x-api-key": KEY + "x"},
        {"x-api-key": KEY.lower()},
        {"x-api-key": "é"},
        {"authorization": f"bearer {KEY}"},
        {"authorization": KEY},
        {"cookie": f"api_key={KEY}"},
    ],
)
async def test_without_a_good_key_nothing_is_answered(api_server: Server, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in {**JSON, **headers}.items()]
    for method in ("info", "batch", "nothing", ""):
        answer = await ask(api_server, method, headers=raw, params={"api_key": KEY})
        assert answer.status_code == 401, method
        assert answer.headers["www-authenticate"] == "apikey"


async def test_the_library_hears_of_a_bad_key(api_server: Server) -> None:
    client = cent.Client(f"{api_server.origin}/api", "another key")
    with pytest.raises(cent.CentUnauthorizedError):
        client.info(cent.InfoRequest())


def test_a_key_has_to_be_long() -> None:
    with pytest.raises(ConfigurationError):
        Keys(["short"])
    assert not Keys()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "https://friend.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "https://proxy.example"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "https://friend.example"}, 200),
    ],
)
async def test_pages_of_other_sites_are_refused_even_with_a_key(
    api_server: Server, headers: dict[str, str], status: int
) -> None:
    assert (await ask(api_server, headers={**GOOD, **headers})).status_code == status


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
async def test_only_json_is_taken(api_server: Server, kind: str) -> None:
    assert (await ask(api_server, headers={**GOOD, "content-type": kind})).status_code == 415


async def test_json_with_a_charset_is_json(api_server: Server) -> None:
    headers = {**GOOD, "content-type": "Application/JSON; charset=utf-8"}
    assert (await ask(api_server, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("info", b""),
        ("info", b"{"),
        ("info", b"[]"),
        ("info", b"\xff"),
        ("publish", b'{"channel": 1, "data": 1}'),
        ("publish", b'{"channel": "a", "data": }'),
        ("publish", b'{"channel": "a", "data": 1, "tags": {"a": 1}}'),
        ("publish", b'{"channel": "a", "data": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
        ("broadcast", json.dumps({"channels": ["a"] * 10_001, "data": 1}).encode()),
        ("history", b'{"channel": "a", "limit": "many"}'),
        ("history", b'{"channel": "a", "since": {"offset": -1}}'),
        ("refresh", b'{"user": "a", "expire_at": -1}'),
        ("batch", b'{"commands": {}}'),
        ("batch", json.dumps({"commands": [{"info": {}}] * 1_001}).encode()),
        ("", b""),
        ("", b'{"params": {}}'),
        ("", b'{"method": "publish", "params": {"channel": 1}}'),
    ],
)
async def test_what_is_malformed_is_a_bad_request(api_server: Server, method: str, body: bytes) -> None:
    assert (await ask(api_server, method, body)).status_code == 400


@pytest.mark.parametrize(
    ("method", "body"),
    [
        (
            "publish",
            b'{"channel": "open:a", "data": null, "idempotency_key": null, "version": null, "tags": null}',
        ),
        ("channels", b'{"pattern": null}'),
        ("disconnect", b'{"user": "a", "client": null, "whitelist": null, "disconnect": null}'),
        ("batch", b'{"commands": null, "parallel": null}'),
        ("batch", rb'{"commands": [{"publish": {"channel": "open:a", "data": "\ud83d", "b64data": null}}]}'),
        ("publish", rb'{"channel": "open:a", "data": "\ud83d"}'),
    ],
)
async def test_null_is_as_good_as_no_field_and_half_an_emoji_is_text(
    api_server: Server, method: str, body: bytes
) -> None:
    answer = await ask(api_server, method, body)
    assert answer.status_code == 200
    assert not answer.json().get("error")
    assert not any("error" in reply for reply in answer.json().get("replies", []))


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("publish", {"data": 1}, 107),
        ("publish", {"channel": "open:a"}, 107),
        ("publish", {"channel": "open:a", "b64data": "!"}, 107),
        ("publish", {"channel": "nowhere", "data": 1}, 102),
        ("publish", {"channel": "open:a", "data": 1, "version": 5}, 108),
        ("publish", {"channel": "open:a b", "data": 1}, 107),
        ("publish", {"channel": "#nodes", "data": 1}, 107),
        ("publish", {"channel": "*", "data": 1}, 107),
        ("presence", {}, 107),
        ("presence", {"channel": "nowhere"}, 102),
        ("history", {"channel": "nowhere"}, 102),
        ("history_remove", {"channel": "#ledger:revoked"}, 107),
        ("subscribe", {"user": "a", "channel": "a b"}, 107),
        ("unsubscribe", {"user": "a"}, 107),
        ("unsubscribe", {"channel": "open:a"}, 107),
        ("disconnect", {}, 107),
        ("disconnect", {"user": "a", "disconnect": {"code": 1000, "reason": ""}}, 107),
        ("disconnect", {"user": "a", "disconnect": {"code": 5000, "reason": ""}}, 107),
        ("connections", {"user": "", "expression": ""}, 107),
        ("connections", {"user": "a", "expression": "true"}, 108),
        ("block_user", {}, 107),
        ("block_user", {"user": "a", "expire_at": 1}, 107),
        ("block_user", {"user": "a" * 1_000}, 106),
        ("revoke_token", {}, 107),
        ("invalidate_user_tokens", {}, 107),
    ],
)
async def test_a_method_says_why_it_did_not_do_it(
    api_server: Server, method: str, request_: dict[str, Any], code: int
) -> None:
    answer = await ask(api_server, method, request_)
    assert answer.status_code == 200
    assert answer.json()["error"]["code"] == code, answer.text
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message"}


@pytest.mark.parametrize(("method", "most"), [("publish", 1_048_576), ("batch", 4_194_304), ("", 4_194_304)])
async def test_a_body_is_read_up_to_its_limit(api_server: Server, method: str, most: int) -> None:
    start = {
        "publish": b'{"channel": "open:a", "data": "',
        "batch": b'{"commands": [], "x": "',
        "": b'{"method": "info", "x": "',
    }[method]
    fitting = start + b"a" * (most - len(start) - 2) + b'"}'
    assert (await ask(api_server, method, fitting)).status_code == 200
    assert (await ask(api_server, method, fitting + b" ")).status_code == 413

    async def endless() -> Any:
        for _ in range(80):
            yield b"a" * 65_536

    async with api_server.http() as client:
        try:
            answer = await client.post(f"/api/{method}".rstrip("/"), content=endless(), headers=GOOD)
        except httpx.WriteError:  # it did not wait for the rest
            return
        assert answer.status_code == 413


async def test_other_methods_and_paths_are_not_there(api_server: Server) -> None:
    assert (await ask(api_server, "device_list")).status_code == 404
    assert (await ask(api_server, "", {"method": "device_list"})).status_code == 404
    async with api_server.http() as client:
        assert (await client.get("/api/info", headers=GOOD)).status_code == 405
    with pytest.raises(cent.CentTransportError):
        api(api_server).get_user_status(cent.GetUserStatusRequest(users=["ada"]))


async def test_in_a_batch_each_request_is_judged_for_itself(api_server: Server) -> None:
    chat = room("chat")
    commands = [
        {"publish": {"channel": chat, "data": 1}},
        {"publish": {"channel": 5}},
        {"publish": {"channel": "nowhere", "data": 1}},
        {"device_list": {}},
        {},
        {"publish": {"channel": chat, "data": 2}},
    ]
    for parallel in (False, True):
        replies = (await ask(api_server, "batch", {"commands": commands, "parallel": parallel})).json()[
            "replies"
        ]
        assert [one.get("error", {}).get("code") for one in replies] == [None, 107, 102, 104, 104, None]
        assert replies[0]["publish"]["offset"] % 2
        assert set(replies[5]) == {"publish"}


async def test_the_older_form_takes_one_request_on_each_line(api_server: Server) -> None:
    chat = room("chat")
    one = {"method": "publish", "params": {"channel": chat, "data": 1}}
    answer = (await ask(api_server, "", one)).json()
    assert answer["result"]["offset"] == 1
    lines = [
        {"id": 1, **one},
        {"id": 2, "method": "info"},
        {"method": "presence", "params": {"channel": "x"}},
    ]
    text = (await ask(api_server, "", "\n".join(map(json.dumps, lines)).encode())).text
    first, second, third = (json.loads(line) for line in text.split("\n"))
    assert first == {"id": 1, "result": {"offset": 2, "epoch": answer["result"]["epoch"]}}
    assert second["id"] == 2
    assert len(second["result"]["nodes"]) == 1
    assert third == {"error": {"code": 102, "message": "unknown channel"}}


async def test_many_questions_to_all_nodes_are_answered_or_refused(api_server: Server) -> None:
    answers = await asyncio.gather(*(ask(api_server, "channels") for _ in range(60)))
    codes = {one.json().get("error", {}).get("code") for one in answers}
    assert codes <= {None, 106}
    assert None in codes


@pytest.mark.parametrize(
    ("method", "request_", "status", "code"),
    [
        ("publish", {"channel": "nowhere", "data": 1}, 404, 102),
        ("publish", {"channel": "open:a"}, 400, 107),
        ("history", {"channel": "open:a"}, 400, 108),
        ("history", {"channel": "chat:a", "limit": 1, "since": {"offset": 1, "epoch": "other"}}, 416, 112),
    ],
)
async def test_a_backend_may_ask_for_errors_as_http_statuses(
    api_server: Server, method: str, request_: Any, status: int, code: int
) -> None:
    answer = await ask(api_server, method, request_, headers={**GOOD, "x-centrifugo-error-mode": "transport"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    answer = await ask(api_server, method, request_)
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, code)
