"""What servers log of a client's credentials: each form they print them in, and what must stay readable."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.logging import AccessFormatter

from hubbub import Hub
from hubbub.redaction import LOGGERS, RedactTokens, redact

OPAQUE = "k3y-0123456789_~.opaque"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLWJ5dGVz"


@pytest.mark.parametrize(
    "line",
    [
        "GET /ws?token={} HTTP/1.1",
        "GET /ws?room=x&token={} HTTP/1.1",
        "GET /ws?token={}&room=x HTTP/1.1",
        "GET /ws?ACCESS_TOKEN={}",
        "/ws?ticket={}",
        "/api?api_key={}",
        "'query_string': b'token={}', 'headers'",
        "'query_string': b'ticket={}'",
        "authorization: Bearer {}",
        "Authorization: apikey {}",
        "cookie: a=b; session={}; c=d",
        "Set-Cookie: session={}; HttpOnly",
        "(b'cookie', b'session={}')",
        "x-api-key: {}",
        "{{'x-api-key': '{}'}}",
        "sec-websocket-protocol: bearer, {}",
        "sec-websocket-protocol: bearer,{}",
        "'subprotocols': ['bearer', '{}'], 'state'",
        '< TEXT \'{{"token":"{}"}}\' [40 bytes]',
        '< TEXT \'{{"token" : "{}"}}\' [40 bytes]',
        '< TEXT \'{{"ticket":"{}...\' [4000 bytes]',
    ],
)
def test_a_credential_is_taken_out_of_a_line(line: str) -> None:
    for secret in (OPAQUE, JWT):
        clean = redact(line.format(secret))
        assert secret not in clean
        assert "opaque" not in clean
        assert "[redacted]" in clean
        assert redact(clean) == clean


@pytest.mark.parametrize("before", ["", "x", "user is ", "'", "(b'"])
def test_a_json_web_token_is_found_anywhere_and_without_its_end(before: str) -> None:
    for token in (JWT, JWT[:40], f"{JWT[:30]}...{JWT[-20:]}"):
        clean = redact(f"{before}{token} and more")
        assert clean == f"{before}[redacted] and more"


@pytest.mark.parametrize(
    "line",
    [
        '127.0.0.1:1234 - "WebSocket /chat/tokens?username=ada" [accepted]',
        '127.0.0.1:1234 - "GET /cookies/bearer HTTP/1.1" 200',
        "the token is missing",
        "refused '/ws/me': no first message within 10.0 s",
        "sec-websocket-protocol: chat, superchat",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "closing abc: too slow, 1048576 bytes waiting",
    ],
)
def test_what_is_no_credential_stays_readable(line: str) -> None:
    assert redact(line) == line


def logged(message: object, *arguments: object, name: str = "uvicorn.error") -> logging.LogRecord:
    """A record as it leaves the filter."""
    record = logging.LogRecord(name, logging.INFO, __file__, 1, message, arguments, None)
    assert RedactTokens().filter(record), "no record may get lost"
    return record


@pytest.mark.parametrize(
    "header", ["cookie", "Cookie", "authorization", "Authorization", "X-API-Key", "Set-Cookie"]
)
def test_a_header_that_is_logged_as_name_and_value_is_emptied(header: str) -> None:
    assert logged("< %s: %s", header, f"session={OPAQUE}").getMessage() == f"< {header}: [redacted]"
    assert logged("< %s: %s", "Host", "127.0.0.1").getMessage() == "< Host: 127.0.0.1"


def test_arguments_are_cleaned_where_they_stand() -> None:
    record = logged('%s - "WebSocket %s" [accepted]', "127.0.0.1:1", f"/ws?token={OPAQUE}")
    assert record.getMessage() == '127.0.0.1:1 - "WebSocket /ws?token=[redacted]" [accepted]'
    scope = {"query_string": f"token={OPAQUE}".encode(), "subprotocols": ["bearer", OPAQUE]}
    assert OPAQUE not in logged("Started scope=%s", scope).getMessage()
    assert OPAQUE not in logged("%(path)s", {"path": f"/?token={OPAQUE}"}).getMessage()
    assert logged("%d of %.1f", 5, 2.5).getMessage() == "5 of 2.5"
    assert logged(ValueError("not text")).getMessage() == "not text"
    assert logged("100%").getMessage() == "100%"


@pytest.mark.parametrize(
    "path", [f"/x?token={OPAQUE}", f"/x?cookie={OPAQUE}", "/cookie", "/x?authorization=1"]
)
def test_the_access_log_of_uvicorn_keeps_its_five_arguments(path: str) -> None:
    record = logged('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", path, "1.1", 200, name="uvicorn.access")
    shown = AccessFormatter("%(client_addr)s %(request_line)s %(status_code)s", use_colors=False).format(
        record
    )
    assert shown.startswith("127.0.0.1:1 GET /")
    assert shown.endswith("HTTP/1.1 200 OK")
    assert OPAQUE not in shown


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_cleaned_and_a_second_time_changes_nothing(text: str) -> None:
    clean = redact(text)
    assert redact(clean) == clean


async def test_the_filter_is_there_while_a_hub_runs_and_gone_afterwards() -> None:
    def count() -> list[int]:
        return [
            sum(isinstance(one, RedactTokens) for one in logging.getLogger(name).filters) for name in LOGGERS
        ]

    none = [0] * len(LOGGERS)
    assert count() == none
    async with Hub():
        assert all(count())
        async with Hub():
            assert all(count())
        assert all(count()), "the first hub still runs"
    assert count() == none
