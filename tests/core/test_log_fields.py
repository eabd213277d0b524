"""What a log line says besides its message."""

import logging

import pytest

from hubbub.core.log_fields import MAX_LOGGED, LogFields, cut
from hubbub.redaction import RedactTokens


def test_as_text_it_is_one_line_whatever_is_in_it() -> None:
    fields = LogFields(user="a\r\nforged 'line'", code=1000, seconds=1.5, reason="", address=None)
    assert str(fields) == r"""user="a\r\nforged 'line'" code=1000 seconds=1.5"""


def test_nobody_can_make_it_long() -> None:
    assert len(str(LogFields(user="x" * 10_000))) < MAX_LOGGED + 20
    assert cut("x" * MAX_LOGGED) == "x" * MAX_LOGGED


def test_it_stays_what_it_is_when_a_log_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("a log with fields")
    logger.addFilter(RedactTokens())
    with caplog.at_level("INFO"):
        logger.info("closed: %s", LogFields(user="?token=secret", code=1000))
    assert caplog.messages == ["closed: user='?token=[redacted]' code=1000"]
    assert isinstance(caplog.records[0].args, LogFields)
