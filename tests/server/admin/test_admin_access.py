"""Who gets into the admin page: over a real socket, as browsers and others would try."""

import json

import pytest
from admin_client import ADMIN_KEY, BEARER, looking, seen
from server_process import HUBBUB, ServerProcess, running
from socket_client import closed, heard_json, opened
from websockets.exceptions import InvalidStatus

REFUSED_FEED = ['{"error":"Unauthorized"}']
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (BEARER, 200),
        ({"Authorization": f"bearer {ADMIN_KEY}"}, 200),
        ({}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": f"Bearer {ADMIN_KEY[:-1]}"}, 401),
        ({"Authorization": f"Bearer {ADMIN_KEY}x"}, 401),
        ({"Authorization": ADMIN_KEY}, 401),
        ({"Authorization": f"apikey {ADMIN_KEY}"}, 401),
        ({"X-API-Key": ADMIN_KEY}, 401),
        ({"Cookie": f"key={ADMIN_KEY}; admin_key={ADMIN_KEY}; Authorization={ADMIN_KEY}"}, 401),
        ({**BEARER, "Sec-Fetch-Site": "same-origin"}, 200),
        ({**BEARER, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**BEARER, "Sec-Fetch-Site": "same-site"}, 403),
        ({**BEARER, "Origin": "https://evil.example"}, 403),
        ({**BEARER, "Origin": "null"}, 403),
    ],
)
async def test_a_request_needs_the_key_in_its_header_and_comes_from_this_servers_page(
    admin: ServerProcess, headers: dict[str, str], status: int
) -> None:
    async with admin.http(headers=headers) as http:
        answer = await http.get("/admin/api/session")
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


async def test_the_key_in_the_address_opens_nothing(admin: ServerProcess) -> None:
    async with admin.http() as http:
        answer = await http.get("/admin/api/session", params={"token": ADMIN_KEY, "key": "x"})
    assert answer.status_code == 401


async def test_the_page_shows_nothing_before_the_login_and_only_runs_its_own_files(
    admin: ServerProcess,
) -> None:
    async with admin.http() as http:
        answer = await http.get("/admin")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "first",
    [
        json.dumps({"key": "x" * 43}),
        json.dumps({"key": ""}),
        json.dumps({"key": ADMIN_KEY, "more": 1}),
        json.dumps({"key": ADMIN_KEY + " " * 9_000}),
        json.dumps({}),
        json.dumps({"key": "\ud800"}),
        "no JSON",
        b"\xff",
    ],
    ids=["another", "none", "more", "too long", "missing", "no text", "no JSON", "bytes"],
)
async def test_a_feed_whose_first_message_has_no_good_key_is_closed_with_1008(
    admin: ServerProcess, first: str | bytes
) -> None:
    async with opened(admin, "/admin/feed") as feed:
        await feed.send(first)
        assert await closed(feed) == (REFUSED_FEED, 1008, "Unauthorized")


async def test_a_feed_takes_the_key_neither_from_a_cookie_nor_from_the_address(admin: ServerProcess) -> None:
    cookie = {"Cookie": f"key={ADMIN_KEY}", **BEARER}
    async with opened(admin, f"/admin/feed?token={ADMIN_KEY}", additional_headers=cookie) as feed:
        await feed.send("{}")
        assert await closed(feed) == (REFUSED_FEED, 1008, "Unauthorized")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_feed_is_refused_to_pages_of_other_origins(admin: ServerProcess, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(admin, "/admin/feed", origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_there_are_at_most_so_many_feeds(admin: ServerProcess) -> None:
    feeds = [opened(admin, "/admin/feed") for _ in range(32)]
    try:
        for feed in feeds:
            await feed.__aenter__()
        with pytest.raises(InvalidStatus) as refused:
            async with opened(admin, "/admin/feed"):
                pass
        assert refused.value.response.status_code == 503
    finally:
        for feed in feeds:
            await feed.__aexit__(None, None, None)


async def test_without_a_key_there_is_no_admin_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    keys = {"HUBBUB_SECRET": "s" * 40, "HUBBUB_API_KEY": "a" * 40, "HUBBUB_HOST": "0.0.0.0"}
    log = tmp_path_factory.mktemp("no-admin") / "log"
    with running([*HUBBUB, "serve", "--drain", "0"], log, keys) as server:
        async with server.http(headers=BEARER) as http:
            assert (await http.get("/admin")).status_code == 404
            assert (await http.get("/admin/api/session")).status_code == 404
        with pytest.raises(InvalidStatus):
            async with opened(server, "/admin/feed"):
                pass
        assert f"{server.port}/admin" not in server.log()


async def test_looking_is_no_connection_of_the_hubs_and_no_room(admin: ServerProcess) -> None:
    async with looking(admin) as feed:
        hello = await heard_json(feed)
        assert hello["recent"] == [] or hello["recent"][0]["node"] == hello["hello"]
        snapshot = await seen(feed, lambda message: message.get("snapshot"))
        assert (snapshot["connections"], snapshot["rooms"]) == (0, 0)
    for room in ("#admin", "#nodes"):
        async with opened(admin, "/connection/websocket") as client:
            await client.send('{"id":1,"connect":{}}')
            assert "connect" in await heard_json(client)
            await client.send(json.dumps({"id": 2, "subscribe": {"channel": room}}))
            reply = await heard_json(client)
            assert reply["error"]["code"] == 107, reply
