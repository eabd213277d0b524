"""What filters on tags mean, and which are none."""

from typing import Any

import msgspec
import pytest
from centrifuge import Filter, FilterNode
from hypothesis import given
from hypothesis import strategies as st

from hubbub.centrifuge import requests
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.tag_filters import MAX_TERMS, compile_filter
from hubbub.core.errors import InvalidMessage

TAGS = {"kind": "news", "price": "12.50", "city": "Köln", "empty": ""}


def fits(node: FilterNode, tags: dict[str, str] = TAGS) -> bool:
    """As a client's subscription has it."""
    text = msgspec.json.encode({"id": 1, "subscribe": {"channel": "c", "tf": node.node}}).decode()
    (command,) = JSON_CODEC.decode_commands(text)
    assert command.subscribe is not None
    assert command.subscribe.tf is not None
    return compile_filter(command.subscribe.tf)(tags)


@pytest.mark.parametrize(
    ("node", "outcome"),
    [
        (Filter.eq("kind", "news"), True),
        (Filter.eq("kind", "New"), False),
        (Filter.eq("other", "news"), False),
        (Filter.neq("kind", "news"), False),
        (Filter.neq("other", "news"), True),
        (Filter.is_in("kind", ["x", "news"]), True),
        (Filter.is_in("kind", ["x"]), False),
        (Filter.is_in("other", ["x", ""]), True),
        (Filter.not_in("kind", ["news"]), False),
        (Filter.not_in("other", ["news"]), True),
        (Filter.exists("empty"), True),
        (Filter.exists("other"), False),
        (Filter.not_exists("other"), True),
        (Filter.starts_with("city", "Kö"), True),
        (Filter.starts_with("other", "K"), False),
        (Filter.ends_with("city", "ln"), True),
        (Filter.contains("city", "öl"), True),
        (Filter.contains("city", "x"), False),
        (Filter.gt("price", "12.5"), False),
        (Filter.gte("price", "12.5"), True),
        (Filter.lt("price", "100"), True),
        (Filter.lte("price", "-100"), False),
        (Filter.lt("kind", "100"), False),
        (Filter.gt("price", "cheap"), False),
        (Filter.gt("other", "1"), False),
        (Filter.all(Filter.eq("kind", "news"), Filter.gt("price", "10")), True),
        (Filter.all(Filter.eq("kind", "news"), Filter.gt("price", "20")), False),
        (Filter.any(Filter.eq("kind", "x"), Filter.gt("price", "10")), True),
        (Filter.any(Filter.eq("kind", "x"), Filter.gt("price", "20")), False),
        (Filter.negate(Filter.eq("kind", "x")), True),
        (Filter.negate(Filter.all(Filter.exists("kind"), Filter.exists("price"))), False),
    ],
    ids=lambda it: str(getattr(it, "node", it)),
)
def test_a_filter_of_the_sdk_decides_by_tags(node: FilterNode, outcome: bool) -> None:
    assert fits(node) is outcome


LEAF = requests.FilterNode(key="k", cmp="eq", val="v")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"key": "k"},
        {"key": "k", "cmp": "like", "val": "v"},
        {"cmp": "eq", "val": "v"},
        {"key": "k", "cmp": "eq"},
        {"key": "k", "cmp": "gt", "val": "1", "vals": ("v",)},
        {"key": "k", "cmp": "in", "val": "v"},
        {"key": "k", "cmp": "in", "vals": ("v",), "val": "v"},
        {"key": "k", "cmp": "nin"},
        {"key": "k", "cmp": "ex", "val": "v"},
        {"key": "k", "cmp": "nex", "vals": ("v",)},
        {"op": "and"},
        {"op": "or"},
        {"op": "not"},
        {"op": "not", "nodes": (LEAF, LEAF)},
        {"op": "xor", "nodes": (LEAF, LEAF)},
        {"op": "and", "nodes": (LEAF, requests.FilterNode())},
        {"op": "or", "nodes": (LEAF,) * MAX_TERMS},
        {"key": "k", "cmp": "in", "vals": ("v",) * MAX_TERMS},
    ],
    ids=str,
)
def test_what_is_malformed_or_too_large_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage):
        compile_filter(requests.FilterNode(**fields))


@given(st.dictionaries(st.text(max_size=2), st.text(max_size=30)), st.text(min_size=1, max_size=30))
def test_whatever_the_tags_are_there_is_an_answer(tags: dict[str, str], value: str) -> None:
    for cmp in ("eq", "neq", "sw", "ew", "ct", "lt", "lte", "gt", "gte"):
        compile_filter(requests.FilterNode(key="k", cmp=cmp, val=value))({**tags, "k": value[::-1]})
