"""Filters on publications' tags: conditions that a subscriber sends with its subscription.

The operators, and which fields each of them takes, are those of the public definition of the protocol
(`FilterNode`) and of the reference server.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from hubbub.centrifuge.requests import FilterNode
from hubbub.core.errors import InvalidMessage

Test: TypeAlias = Callable[[Mapping[str, str]], bool]
"""Whether tags fit."""

MAX_TERMS: Final = 128
"""Most nodes and values of one filter: it is asked about every publication of its channel."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{1,100})?")

_VALUES: Final[dict[str, Callable[[str, str], bool]]] = {
    "eq": str.__eq__,
    "sw": str.startswith,
    "ew": str.endswith,
    "ct": str.__contains__,
}
"""A tag's value against `val`; a tag that is missing does not fit."""

_NUMBERS: Final[dict[str, Callable[[Decimal, Decimal], bool]]] = {
    "lt": Decimal.__lt__,
    "lte": Decimal.__le__,
    "gt": Decimal.__gt__,
    "gte": Decimal.__ge__,
}
"""The same for decimal numbers; what is none does not fit."""


def compile_filter(node: FilterNode) -> Test:
    """The test that a filter stands for.

    Raises:
        InvalidMessage: if the filter is malformed, or too large.
    """
    if _terms(node) > MAX_TERMS:
        raise InvalidMessage("The filter is too large")
    return _compile(node)


def _terms(node: FilterNode) -> int:
    return 1 + len(node.vals) + sum(map(_terms, node.nodes))


def _compile(node: FilterNode) -> Test:
    if not node.op:
        return _comparison(node)
    tests = [_compile(one) for one in node.nodes]
    if node.op == "not" and len(tests) == 1:
        (inner,) = tests
        return lambda tags: not inner(tags)
    if node.op == "and" and tests:
        return lambda tags: all(test(tags) for test in tests)
    if node.op == "or" and tests:
        return lambda tags: any(test(tags) for test in tests)
    raise InvalidMessage("An operator of a filter is unknown, or has the wrong number of nodes")


def _comparison(node: FilterNode) -> Test:
    key, cmp = node.key, node.cmp
    if cmp in ("ex", "nex"):
        _need(not node.val and not node.vals)
        present = cmp == "ex"
        return lambda tags: (key in tags) is present
    _need(bool(key))
    if cmp in ("in", "nin"):
        _need(bool(node.vals) and not node.val)
        wanted, inside = frozenset(node.vals), cmp == "in"
        return lambda tags: (tags.get(key, "") in wanted) is inside
    _need(bool(node.val) and not node.vals)
    return _against_value(key, cmp, node.val)


def _against_value(key: str, cmp: str, val: str) -> Test:
    if cmp == "neq":
        return lambda tags: tags.get(key) != val
    compare = _VALUES.get(cmp)
    if compare is not None:
        return lambda tags: key in tags and compare(tags[key], val)
    numeric = _NUMBERS.get(cmp)
    if numeric is None:
        raise InvalidMessage("A comparison of a filter is unknown")
    limit = _number(val)

    def fits(tags: Mapping[str, str]) -> bool:
        number = _number(tags.get(key, ""))
        return number is not None and limit is not None and numeric(number, limit)

    return fits


def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _need(given: bool) -> None:
    if not given:
        raise InvalidMessage("A comparison of a filter has a field too many or too few")
