"""Times and sizes as people write them."""

import pytest

from hubbub.server.quantities import Bytes, Seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (300, 300),
        (0.5, 0.5),
        ("300", 300),
        ("1.5", 1.5),
        ("30s", 30),
        ("250ms", 0.25),
        ("5m", 300),
        ("1h", 3_600),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1h30m", 5_400),
        ("1h 30m", 5_400),
        ("0.5h", 1_800),
    ],
)
def test_a_time_is_read(text: object, seconds: float) -> None:
    assert Seconds.parse(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1_024, 1_024),
        ("1024", 1_024),
        ("64KiB", 65_536),
        ("16MiB", 16_777_216),
        ("1GiB", 1 << 30),
        ("2MB", 2_000_000),
    ],
)
def test_a_size_is_read(text: object, size: int) -> None:
    assert Bytes.parse(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "d",
        "7 days ago",
        "-5s",
        "1h-3m",
        "1,5h",
        True,
        None,
        [1],
        "7y",
        "1e9",
        "٣s",
        -1,
        1e16,
        "9" * 400,
        float("inf"),
        float("nan"),
    ],
)
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"expected a time|no unit here"):
        Seconds.parse(text)


@pytest.mark.parametrize("text", ["16mib", "16 megabytes", "MiB", "-1", True, None, "7d"])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"expected a size|no unit here"):
        Bytes.parse(text)


@pytest.mark.parametrize("text", ["7d", "36h", "90m", "30s", "0.25s"])
def test_a_time_is_shown_with_its_largest_whole_unit(text: str) -> None:
    assert str(Seconds.parse(text)) == text


@pytest.mark.parametrize("text", ["1GiB", "16MiB", "64KiB", "1000B"])
def test_a_size_is_shown_with_its_largest_whole_unit(text: str) -> None:
    assert str(Bytes.parse(text)) == text
