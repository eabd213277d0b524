"""Every defect of a token or ticket is refused as `Unauthorized`, and never ends in another exception."""

import base64
import secrets
import sys
import time
from collections.abc import Mapping

import pytest
from forged_tokens import FAR, SECRET, claims, forge, part, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.auth import MAX_TOKEN_BYTES, Tickets, Tokens
from hubbub.core.errors import Unauthorized
from hubbub.core.users import User


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "garbage",
        "a.b.c",
        "null",
        "eyJ.eyJ.eyJ",
        "Bearer x",
        " " * 100,
        "\x00",
        "\ud800",
        "é.é.é",
        "🦉" * 100,
        "=" * 100,
        f"{part('[]')}.{part('[]')}.",
        f"{part('')}.{part('')}.{part('')}",
        f"{part('1')}.{part('1')}.{part('1')}",
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    refusal(Tokens(SECRET), token)


@pytest.mark.parametrize(
    "payload",
    [
        claims(exp=...),
        claims(sub=...),
        claims(exp=None),
        claims(sub=None),
        claims(sub=""),
        claims(sub=5),
        claims(sub=["ada"]),
        claims(sub={"id": "ada"}),
        claims(sub=True),
        claims(sub="a" * 256),
        claims(sub="é" * 128),
        claims(sub="\ud800"),
        claims(exp="tomorrow"),
        claims(exp=str(FAR)),
        claims(exp=[FAR]),
        claims(exp={}),
        claims(exp=True),
        claims(exp=-1),
        claims(exp=0),
        claims(exp=float("nan")),
        claims(exp=float("inf")),
        claims(exp=float("-inf")),
        claims(exp=10**400),
        claims(nbf=FAR),
        claims(nbf="soon"),
        claims(nbf=float("nan")),
        claims(nbf=float("inf")),
        claims(nbf=[]),
        claims(iat=FAR),
        claims(iat=float("inf")),
        claims(aud="another service"),
        claims(aud=["another service"]),
        claims(aud=7),
        claims(jti=7),
        '{"sub":"ada","exp":' + "9" * 5_000 + "}",
        '{"sub":"ada","exp":4e9999}',
        '{"sub":"ada"',
        "[]",
        "null",
        '"ada"',
        "",
        "[" * 3_000 + "]" * 3_000,
    ],
    ids=lambda payload: str(payload)[:60],
)
def test_a_well_signed_token_with_wrong_claims_is_refused(payload: object) -> None:
    refusal(Tokens(SECRET), forge(payload))


def test_a_deep_nest_in_a_claim_of_no_meaning_is_no_error() -> None:
    token = forge('{"sub":"ada","exp":4000000000,"x":' + "[" * 2_000 + "]" * 2_000 + "}")
    if sys.version_info >= (3, 14):  # it counts the stack in bytes, and reads all that a token has room for
        assert Tokens(SECRET).verify(token).id == "ada"
    else:
        refusal(Tokens(SECRET), token)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": ""},
        {"alg": None},
        {"alg": ["HS256"]},
        {"alg": {"HS256": 1}},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"alg": "hs256"},
        {},
        [],
        "null",
        {"alg": "HS256", "crit": ["exp"]},
        {"alg": "HS256", "crit": ["http://example.com/unknown"], "http://example.com/unknown": True},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "crit": "b64"},
        {"alg": "HS256", "crit": ["b64"], "b64": False},
        {"alg": "HS256", "b64": False},
        {"alg": "HS256", "kid": 5},
        {"alg": "HS256", "kid": None},
        "[" * 3_000 + "]" * 3_000,
    ],
    ids=lambda header: str(header)[:60],
)
def test_a_well_signed_token_with_a_wrong_header_is_refused(header: object) -> None:
    refusal(Tokens(SECRET), forge(claims(), header))


@pytest.mark.parametrize(
    "header", [{"jku": "http://127.0.0.1:9/keys"}, {"x5u": "http://127.0.0.1:9"}, {"jwk": {"kty": "oct"}}]
)
def test_a_key_named_by_the_token_itself_is_never_used(header: Mapping[str, object]) -> None:
    other = secrets.token_bytes(32)
    token = forge(claims(), {"alg": "HS256", **header}, other)
    assert refusal(Tokens(SECRET), token) == "InvalidSignatureError"


def test_an_unsigned_token_is_refused() -> None:
    for algorithm in ("none", "None", "NONE", "HS256"):
        refusal(Tokens(SECRET), f"{part({'alg': algorithm})}.{part(claims())}.")


def test_a_changed_payload_is_refused() -> None:
    header, _, signature = Tokens(SECRET).issue("ada").split(".")
    refusal(Tokens(SECRET), f"{header}.{part(claims(sub='eve'))}.{signature}")


def test_another_key_is_refused() -> None:
    refusal(Tokens(SECRET), forge(claims(), key=secrets.token_bytes(32)))


def test_an_expired_token_is_refused_beyond_the_leeway() -> None:
    now = time.time()
    assert refusal(Tokens(SECRET, leeway=30), forge(claims(exp=now - 32))) == "ExpiredSignatureError"
    assert refusal(Tokens(SECRET, leeway=0), forge(claims(exp=now - 1))) == "ExpiredSignatureError"


def test_a_token_for_later_is_refused_beyond_the_leeway() -> None:
    now = time.time()
    assert refusal(Tokens(SECRET, leeway=30), forge(claims(nbf=now + 60))) == "ImmatureSignatureError"
    assert Tokens(SECRET, leeway=30).verify(forge(claims(nbf=now + 20))).id == "ada"


def test_audience_and_issuer_are_required_once_they_are_configured() -> None:
    tokens = Tokens(SECRET, audience="chat", issuer="https://login.example.com")
    good = claims(aud="chat", iss="https://login.example.com")
    assert tokens.verify(forge(good)).id == "ada"
    assert tokens.verify(tokens.issue("ada")).id == "ada"
    assert tokens.verify(forge({**good, "aud": ["mail", "chat"]})).id == "ada"
    wrong: list[dict[str, object]] = [
        {"aud": "mail"},
        {"aud": "CHAT"},
        {"aud": ["mail"]},
        {"aud": []},
        {"aud": None},
        {"aud": {"chat": 1}},
        {"aud": "chat "},
        {"iss": "https://login.example.com/"},
        {"iss": "https://evil.example.com"},
        {"iss": None},
        {"iss": ["https://login.example.com"]},
        {"iss": 5},
    ]
    for change in wrong:
        refusal(tokens, forge({**good, **change}))
    for missing in ("aud", "iss"):
        refusal(tokens, forge({name: value for name, value in good.items() if name != missing}))


@pytest.mark.parametrize("size", [MAX_TOKEN_BYTES + 1, 2_000_000])
def test_an_oversized_token_is_refused_for_its_size_before_anything_else_is_looked_at(size: int) -> None:
    assert Tokens(SECRET).verify(forge(claims(fill="x" * 5_000))).id == "ada"
    for token in (forge(claims(fill="x" * size)), "x" * size, "." * size, forge("[" * size)):
        assert refusal(Tokens(SECRET), token) == "token too long"


# Anything at all

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
CLAIMS = st.dictionaries(
    st.sampled_from(["sub", "exp", "nbf", "iat", "aud", "iss", "jti"]) | st.text(max_size=5),
    ANYTHING,
    max_size=6,
)
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "typ", "crit", "b64", "kid", "jwk"]) | st.text(max_size=5),
    ANYTHING | st.sampled_from(["HS256", "none", "RS256", ["b64"]]),
    max_size=5,
)


def user_or_refusal(tokens: Tokens, token: str) -> User | None:
    try:
        return tokens.verify(token)
    except Unauthorized:
        return None


@settings(deadline=None)
@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_arbitrary_text_is_refused_as_unauthorized_and_nothing_else(text: str) -> None:
    refusal(Tokens(SECRET), text)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_arbitrary_bytes_in_the_shape_of_a_token_are_refused(parts: list[bytes]) -> None:
    refusal(Tokens(SECRET), ".".join(base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in parts))


@settings(deadline=None)
@given(ANYTHING | CLAIMS)
def test_arbitrary_claims_under_a_right_signature_give_a_user_or_a_refusal(payload: object) -> None:
    user = user_or_refusal(Tokens(SECRET), forge(payload))
    if user is not None:
        assert isinstance(payload, dict)
        assert user.id == payload["sub"]
        assert user.expires_at is not None
        assert user.expires_at > time.time()


@settings(deadline=None)
@given(ANYTHING | HEADERS)
def test_arbitrary_headers_under_a_right_signature_give_a_user_or_a_refusal(header: object) -> None:
    user = user_or_refusal(Tokens(SECRET), forge(claims(), header))
    assert user is None or (isinstance(header, dict) and header["alg"] == "HS256")


@settings(deadline=None)
@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
def test_a_token_with_one_byte_changed_is_refused(place: int, byte: int) -> None:
    token = forge(claims()).encode()
    place %= len(token)
    changed = (token[:place] + bytes([byte]) + token[place + 1 :]).decode("latin-1")
    if changed.encode("latin-1") != token:
        refusal(Tokens(SECRET), changed)


async def nobody_came_before(key: str, seconds: float) -> bool:
    return True


@settings(deadline=None)
@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
async def test_arbitrary_text_is_refused_as_a_ticket_and_raises_nothing_else(text: str) -> None:
    with pytest.raises(Unauthorized):
        await Tickets(SECRET, nobody_came_before).redeem(text)
