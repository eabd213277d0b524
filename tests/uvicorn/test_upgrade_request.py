"""The opening handshake: what is accepted, what is refused and how, over a real socket."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.uvicorn.handshake import HandshakeError, accept_response, http_response, parse_request

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = (
    "Host: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
)


def head(line: str = "GET /chat?x=1 HTTP/1.1", headers: str = GOOD) -> bytes:
    return f"{line}\r\n{headers}\r\n".encode("latin-1")


def test_a_correct_request_is_read() -> None:
    request = parse_request(
        head(headers=GOOD + "Sec-WebSocket-Protocol: a, b\r\nsec-websocket-protocol: c\r\nX-Y:  z \r\n")
    )
    assert (request.path, request.query, request.key) == (b"/chat", b"x=1", KEY.encode())
    assert request.subprotocols == ["a", "b", "c"]
    assert request.headers[0] == (b"host", b"localhost")
    assert request.headers[-1] == (b"x-y", b"z")


def test_a_target_in_absolute_form_is_read() -> None:
    request = parse_request(head("GET ws://example.org:80?x HTTP/1.1"))
    assert (request.path, request.query) == (b"/", b"x")


def test_the_answer_is_that_of_the_rfc() -> None:
    response = accept_response(KEY.encode(), [(b"Server", b"x")], "chat", None)
    assert response.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in response
    assert response.endswith(b"sec-websocket-protocol: chat\r\nserver: x\r\n\r\n")


@pytest.mark.parametrize("name", [b"x y", b"", b"x\r\ny"])
def test_a_header_name_that_http_forbids_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="name"):
        http_response(200, [(name, b"1")])


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\x00"])
def test_a_header_value_cannot_bring_another_header(value: bytes) -> None:
    with pytest.raises(ValueError, match="value"):
        accept_response(KEY.encode(), [(b"x", value)], None, None)
    with pytest.raises(ValueError, match="value"):
        accept_response(KEY.encode(), [], value.decode(), None)


def without(name: str) -> str:
    return "".join(f"{line}\r\n" for line in GOOD.split("\r\n") if line and not line.startswith(name))


REFUSED: list[tuple[str, bytes, int]] = [
    ("another method", head("POST / HTTP/1.1"), 400),
    ("HTTP/1.0", head("GET / HTTP/1.0"), 400),
    ("no version of HTTP", head("GET /"), 400),
    ("an asterisk", head("GET * HTTP/1.1"), 400),
    ("a target of another script", head("GET /\xe9 HTTP/1.1"), 400),
    ("a long request line", head(f"GET /{'x' * 8_192} HTTP/1.1"), 414),
    ("no key", head(headers=without("Sec-WebSocket-Key")), 400),
    ("two keys", head(headers=f"{GOOD}Sec-WebSocket-Key: {KEY}\r\n"), 400),
    ("a short key", head(headers=GOOD.replace(KEY, "c2hvcnQ=")), 400),
    ("a key that is not base64", head(headers=GOOD.replace(KEY, "é" * 24)), 400),
    ("no version", head(headers=without("Sec-WebSocket-Version")), 426),
    ("another version", head(headers=GOOD.replace("13", "8")), 426),
    ("no upgrade", head(headers=without("Upgrade")), 400),
    ("another upgrade", head(headers=GOOD.replace("websocket\r", "h2c\r")), 400),
    ("no connection upgrade", head(headers=GOOD.replace("keep-alive, Upgrade", "close")), 400),
    ("two hosts", head(headers=GOOD + "Host: elsewhere\r\n"), 400),
    ("a subprotocol of another script", head(headers=GOOD + "Sec-WebSocket-Protocol: caf\xe9\r\n"), 400),
    ("a subprotocol with a space", head(headers=GOOD + "Sec-WebSocket-Protocol: a b\r\n"), 400),
    ("a header without a colon", head(headers=GOOD + "nonsense\r\n"), 400),
    ("a header with a space in its name", head(headers=GOOD + "a b: c\r\n"), 400),
    ("a folded header", head(headers=GOOD + "X: a\r\n b\r\n"), 400),
    ("a NUL", head(headers=GOOD + "X: a\x00b\r\n"), 400),
    ("129 headers", head(headers=GOOD + "X: y\r\n" * 124), 431),
    ("a long header", head(headers=GOOD + f"X: {'y' * 8_192}\r\n"), 431),
    ("64 KiB of headers", head(headers=GOOD + f"X: {'y' * 8_000}\r\n" * 9), 431),
]


@pytest.mark.parametrize(
    ("request_head", "status"), [pytest.param(*rest, id=name) for name, *rest in REFUSED]
)
def test_a_wrong_request_is_refused(request_head: bytes, status: int) -> None:
    with pytest.raises(HandshakeError) as caught:
        parse_request(request_head)
    assert caught.value.status == status
    assert str(caught.value).isascii()


@given(st.binary(max_size=200), st.integers(0, len(head())))
def test_no_request_gives_anything_but_a_request_or_a_refusal(junk: bytes, at: int) -> None:
    good = head()
    for request_head in (good[:at] + junk + good[at:], junk + b"\r\n\r\n"):
        try:
            path, status = parse_request(request_head).path, 101
        except HandshakeError as error:
            path, status = b"/", error.status
        assert path.startswith(b"/")
        assert status == 101 or 400 <= status < 500


async def accept_all(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


@pytest.mark.parametrize("http", ["hubbub.uvicorn:HttpProtocol", "httptools", "h11"])
async def test_the_server_answers_odd_handshakes_with_4xx_and_goes_on(
    serve: Any, raw_client: Any, caplog: pytest.LogCaptureFixture, http: str
) -> None:
    server = serve(accept_all, http=http)
    for name, request_head, _ in REFUSED:
        if name in (
            "no upgrade",
            "another upgrade",
            "no connection upgrade",
            "a folded header",
            "no version of HTTP",
        ):
            continue  # for uvicorn these are plain HTTP (or HTTP/0.9) requests, and h11 unfolds headers
        if http == "h11" and name == "64 KiB of headers":
            continue  # uvicorn's own class resets a client that is still sending: the answer may be lost
        client = await raw_client(server.port)
        await client.send(request_head)
        answer = await client.ended()
        status = int(answer.split(b" ")[1]) if answer else 0
        assert 400 <= status < 500, f"{name}: {answer[:200]!r}"
        if status == 426:
            assert b"\r\nsec-websocket-version: 13\r\n" in answer
    good = await raw_client(server.port)
    assert (await good.upgrade()).startswith(b"HTTP/1.1 101 ")
    assert not [record for record in caplog.records if record.exc_info]
