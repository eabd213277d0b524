"""Times and sizes as people write them: ``7d``, ``30s``, ``16MiB``."""

import re
from typing import Final, Self

SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
"""Units of time, in seconds."""

BYTES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 10**3, "MB": 10**6, "GB": 10**9}
"""Units of size, in bytes: those of 1,024 (IEC 80000-13) and those of 1,000."""

LARGEST: Final = 1e15
"""Seconds or bytes: more is a slip."""

_TERM: Final = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]+)", re.ASCII)


class Seconds(float):
    """A time. Written as a number of seconds, or like ``"7d"`` or ``"1h30m"``."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it. Raises `ValueError`, whose text says how a time looks."""
        return cls(_amount(value, SECONDS, 'a time: seconds, or text like "7d", "1h30m" or "30s"'))

    def __str__(self) -> str:
        return _shown(float(self), {unit: SECONDS[unit] for unit in ("d", "h", "m", "s")}, "s")


class Bytes(int):
    """A size. Written as a number of bytes, or like ``"16MiB"``."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it. Raises `ValueError`, whose text says how a size looks."""
        return cls(_amount(value, BYTES, 'a size: bytes, or text like "64KiB" or "16MiB"'))

    def __str__(self) -> str:
        return _shown(int(self), {unit: BYTES[unit] for unit in ("GiB", "MiB", "KiB")}, "B")


def _amount(value: object, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    amount = float("nan")
    if isinstance(value, int | float) and not isinstance(value, bool):
        amount = value
    elif isinstance(value, str):
        amount = _sum(value.replace(" ", ""), units, wanted)
    if not 0 <= amount <= LARGEST:
        raise ValueError(f"expected {wanted}")
    return amount


def _sum(text: str, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    """What the terms of a text come to; a number without a unit stands for itself."""
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return float(text)
    terms = _TERM.findall(text)
    if not terms or "".join(number + unit for number, unit in terms) != text:
        raise ValueError(f"expected {wanted}")
    for _, unit in terms:
        if unit not in units:
            raise ValueError(f"{unit} is no unit here; there are {', '.join(units)}")
    return sum(float(number) * units[unit] for number, unit in terms)


def _shown(amount: float, units: dict[str, float] | dict[str, int], smallest: str) -> str:
    """With the largest unit of which it is a whole number."""
    for unit, size in units.items():
        if amount and amount % size == 0:
            return f"{int(amount // size)}{unit}"
    return f"{amount:g}{smallest}"
