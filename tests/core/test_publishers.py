"""Who published, as one text."""

import pytest

from hubbub.core.errors import ConfigurationError
from hubbub.core.publishers import check_publisher, publisher_name


@pytest.mark.parametrize(
    ("publisher", "name"),
    [
        (None, None),
        ("ada", "ada"),
        ("", ""),
        ('\x00{"user":"ada","client":"c"}', "ada"),
        ('\x00{"user":"","client":"c"}', None),
        ('\x00{"client":"c"}', None),
        ("\x00{broken", None),
        ("\x00\ud800", None),
    ],
)
def test_a_name_is_found_behind_the_mark(publisher: str | None, name: str | None) -> None:
    assert publisher_name(publisher) == name


def test_a_name_cannot_begin_with_the_mark() -> None:
    check_publisher(None)
    check_publisher("ada\x00")
    with pytest.raises(ConfigurationError):
        check_publisher("\x00ada")
