"""Paths as they may appear in a log."""

import pytest

from hubbub.uvicorn.redaction import MAX_LOGGED, redacted_path


@pytest.mark.parametrize(
    ("path", "query", "line"),
    [
        ("/a", b"", "/a"),
        ("/a b\n", b"x=1", "/a%20b%0A?x=1"),
        ("/", b"token=s3cret&x=1", "/?token=[redacted]&x=1"),
        ("/", b"x=1&access_token=a=b", "/?x=1&access_token=[redacted]"),
        ("/", b"Ticket=abc", "/?Ticket=[redacted]"),
        ("/", b"%74oken=abc", "/?%74oken=[redacted]"),
        ("/", b"token", "/?token"),
        ("/", b"my_token=fine", "/?my_token=fine"),
        ("/", b"x=\xff\x1b", "/?x=%FF%1B"),
    ],
)
def test_secrets_are_left_out(path: str, query: bytes, line: str) -> None:
    assert redacted_path(path, query) == line


def test_a_long_line_is_cut() -> None:
    assert redacted_path("/" + "x" * 1_000, b"") == "/" + "x" * (MAX_LOGGED - 1) + "..."
