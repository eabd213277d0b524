"""Deltas in the format of Fossil: how to make a text from the one before it.

A delta is the size of the target and a line feed; then segments, each either ``<size>@<offset>,`` to copy
from the source or ``<size>:`` and that many bytes; then a checksum and ``;``. Numbers are written in base 64.
The format is described on fossil-scm.org, page "Fossil Delta Format".
"""

import struct
from collections.abc import Iterator
from typing import Final

_DIGITS: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
_BLOCK: Final = 16
"""Bytes that have to agree before a copy is looked at more closely."""

_SHORTEST_COPY: Final = 8
"""A shorter copy would hardly be shorter than the bytes."""

_MOST_SEARCHED: Final = 65_536
"""Bytes of the target's middle that are searched for in up to four times as many; with more, nothing is."""

_PATIENCE: Final = 256
"""Bytes in a row that are found nowhere, after which only every second is looked at, then every third, ..."""

_Copy = tuple[int, int, int]  # where in the target, how many bytes, from where in the source


def create_delta(source: bytes, target: bytes, *, text: bool = False) -> bytes | None:
    """How to make `target` from `source`; None if that is not shorter than the target.

    What both begin and end with is found at the speed of memory, so that a change in one place is cheap. The
    rest is searched byte by byte, and in longer and longer steps where nothing is found.

    Args:
        source: what the other side has.
        target: what it shall have.
        text: both are UTF-8, and so shall the delta be: characters are not cut apart.
    """
    parts = [_number(len(target)), b"\n"]
    done = 0
    for start, size, offset in _copies(source, target):
        if text:
            start, size, offset = _whole_characters(target, start, size, offset)
        if size < _SHORTEST_COPY:
            continue
        if start > done:
            parts += _number(start - done), b":", target[done:start]
        parts += _number(size), b"@", _number(offset), b","
        done = start + size
    if not done:
        return None
    if done < len(target):
        parts += _number(len(target) - done), b":", target[done:]
    parts += _number(checksum(target)), b";"
    delta = b"".join(parts)
    return delta if len(delta) < len(target) else None


def checksum(data: bytes) -> int:
    """The sum of the data's big-endian words of 32 bits, modulo 2**32; zeros fill up the last word."""
    words = -(-len(data) // 4)
    numbers: tuple[int, ...] = struct.unpack(f">{words}I", data.ljust(words * 4, b"\0"))
    return sum(numbers) & 0xFFFFFFFF


def _copies(source: bytes, target: bytes) -> Iterator[_Copy]:
    """What the target has in common with the source, in the order of the target."""
    most = min(len(source), len(target))
    prefix = _common(source, 0, target, 0, most)
    suffix = _common_end(source, target, most - prefix)
    if prefix:
        yield 0, prefix, 0
    end = len(target) - suffix
    if _BLOCK <= end - prefix <= _MOST_SEARCHED and len(source) <= 4 * _MOST_SEARCHED:
        yield from _matches(source, target, prefix, end)
    if suffix:
        yield end, suffix, len(source) - suffix


def _matches(source: bytes, target: bytes, begin: int, end: int) -> Iterator[_Copy]:
    blocks = {source[at : at + _BLOCK]: at for at in range((len(source) // _BLOCK - 1) * _BLOCK, -1, -_BLOCK)}
    done = at = begin  # `done`: up to here it is copied already
    misses = 0
    while at + _BLOCK <= end:
        offset = blocks.get(target[at : at + _BLOCK])
        if offset is None:
            at += 1 + misses // _PATIENCE
            misses += 1
            continue
        start = at
        while start > done and offset > 0 and target[start - 1] == source[offset - 1]:
            start -= 1
            offset -= 1
        size = _common(source, offset, target, start, min(len(source) - offset, end - start))
        yield start, size, offset
        done = at = start + size
        misses = 0


def _common(one: bytes, at: int, other: bytes, start: int, most: int) -> int:
    """How many bytes both have in common from there on, at most `most`. As fast for few as for many."""
    size, step = 0, _BLOCK
    while size < most:
        step = min(step, most - size)
        if one[at + size : at + size + step] == other[start + size : start + size + step]:
            size += step
            step *= 2
        else:
            most = size + step - 1
            step = max(1, step // 2)
    return size


def _common_end(one: bytes, other: bytes, most: int) -> int:
    """How many bytes both end with, at most `most`."""
    size, step = 0, _BLOCK
    while size < most:
        step = min(step, most - size)
        end, other_end = len(one) - size, len(other) - size
        if one[end - step : end] == other[other_end - step : other_end]:
            size += step
            step *= 2
        else:
            most = size + step - 1
            step = max(1, step // 2)
    return size


def _whole_characters(target: bytes, start: int, size: int, offset: int) -> _Copy:
    """Make the copy begin and end between characters of UTF-8."""
    while size and _continues(target, start):
        start, size, offset = start + 1, size - 1, offset + 1
    while size and _continues(target, start + size):
        size -= 1
    return start, size, offset


def _continues(data: bytes, at: int) -> bool:
    return at < len(data) and data[at] & 0xC0 == 0x80


def _number(value: int) -> bytes:
    digits = bytearray()
    while True:
        digits.append(_DIGITS[value & 63])
        value >>= 6
        if not value:
            digits.reverse()
            return bytes(digits)
