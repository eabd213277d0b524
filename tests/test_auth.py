"""Tokens and tickets: what is let in, and that all else is refused as `Unauthorized` and nothing else."""

import base64
import hmac
import json
import secrets
import time
from collections.abc import Mapping

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth import MAX_TOKEN_BYTES, Tickets, Tokens, check_secret
from hubbub.core.errors import ConfigurationError, Unauthorized
from hubbub.core.users import User

SECRET = secrets.token_urlsafe(32)
HEADER = '{"alg":"HS256","typ":"JWT"}'
FAR = 4_000_000_000
"""A time in the year 2096, in seconds since the Unix epoch."""


def part(value: object) -> str:
    """One segment of a token: base64url of JSON, or of text as it is."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def forge(payload: object, header: object = HEADER, key: str | bytes = SECRET) -> str:
    """A token with a right signature over whatever is given, past all checks of a library."""
    signed = f"{part(header)}.{part(payload)}"
    key = key.encode() if isinstance(key, str) else key
    signature = base64.urlsafe_b64encode(hmac.digest(key, signed.encode(), "sha256")).rstrip(b"=")
    return f"{signed}.{signature.decode()}"


def claims(**changes: object) -> dict[str, object]:
    """The claims of a valid token, with changes; `...` takes one away."""
    both = {"sub": "ada", "exp": FAR, **changes}
    return {name: value for name, value in both.items() if value is not ...}


def refusal(tokens: Tokens, token: str) -> str:
    """The reason for the log, of a token that must be refused."""
    with pytest.raises(Unauthorized) as refused:
        tokens.verify(token)
    assert str(refused.value) == "Unauthorized", "what the client is told says nothing of the reason"
    return refused.value.detail


# What is accepted


def test_a_token_brings_back_its_user_with_claims_and_end() -> None:
    tokens = Tokens(SECRET, leeway=30)
    before = int(time.time())
    user = tokens.verify(tokens.issue("ada", ttl=60, claims={"role": "admin"}))
    assert user.id == "ada"
    assert user.claims["role"] == "admin"
    assert user.expires_at is not None
    assert before + 90 <= user.expires_at <= time.time() + 91


def test_a_forged_token_with_the_right_key_is_accepted_so_that_the_refusals_below_mean_something() -> None:
    assert Tokens(SECRET).verify(forge(claims())).id == "ada"


def test_claims_cannot_change_who_the_token_is_for_or_how_long() -> None:
    token = Tokens(SECRET).issue("ada", ttl=60, claims={"sub": "eve", "exp": FAR})
    user = Tokens(SECRET).verify(token)
    assert user.id == "ada"
    assert user.expires_at is not None
    assert user.expires_at < FAR


def test_a_user_id_may_have_any_script_and_255_bytes() -> None:
    tokens = Tokens(SECRET)
    for name in ("Ада", "名前", "a" * 255, "é" * 127):
        assert tokens.verify(tokens.issue(name)).id == name


@pytest.mark.parametrize("age", [0, 5, 28])
def test_an_expired_token_is_accepted_within_the_leeway(age: int) -> None:
    user = Tokens(SECRET, leeway=30).verify(forge(claims(exp=time.time() - age)))
    assert user.expires_at is not None
    assert user.expires_at > time.time()


# What is refused


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
        '{"sub":"ada","exp":4000000000,"x":' + "[" * 2_000 + "]" * 2_000 + "}",
    ],
    ids=lambda payload: str(payload)[:60],
)
def test_a_well_signed_token_with_wrong_claims_is_refused(payload: object) -> None:
    refusal(Tokens(SECRET), forge(payload))


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


def test_after_a_rotation_the_old_key_verifies_and_the_new_one_signs() -> None:
    old, new = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    before, after = Tokens(old), Tokens([new, old])
    assert after.verify(before.issue("ada")).id == "ada"
    assert Tokens(new).verify(after.issue("ada")).id == "ada"
    refusal(before, after.issue("ada"))
    refusal(Tokens([new]), before.issue("ada"))
    refusal(after, forge(claims(), key=secrets.token_bytes(32)))


# Keys and algorithms


@pytest.fixture(scope="module")
def rsa_keys() -> tuple[str, str]:
    """A private and a public key in PEM form."""
    return pem(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> tuple[str, str]:
    """The private and the public key in PEM form."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def test_a_public_key_verifies_and_cannot_issue(rsa_keys: tuple[str, str]) -> None:
    private, public = rsa_keys
    tokens = Tokens(public, algorithms=["RS256"])
    assert tokens.verify(jwt.encode(claims(), private, "RS256")).id == "ada"
    with pytest.raises(ConfigurationError, match="verify tokens, not issue"):
        tokens.issue("ada")


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(rsa_keys: tuple[str, str]) -> None:
    _, public = rsa_keys
    tokens = Tokens(public, algorithms=["RS256"])
    for key in (public, public.strip(), public.encode()):
        assert refusal(tokens, forge(claims(), key=key)) == "InvalidAlgorithmError"
        refusal(tokens, forge(claims(), {"alg": "RS256"}, key))
    refusal(tokens, f"{part({'alg': 'none'})}.{part(claims())}.")


def test_a_token_of_another_key_of_the_same_family_is_refused(rsa_keys: tuple[str, str]) -> None:
    other, _ = pem(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
    tokens = Tokens(rsa_keys[1], algorithms=["RS256"])
    assert refusal(tokens, jwt.encode(claims(), other, "RS256")) == "InvalidSignatureError"
    assert refusal(tokens, jwt.encode(claims(), other, "PS256")) == "InvalidAlgorithmError"


def test_an_elliptic_curve_key_works_too() -> None:
    private, public = pem(ec.generate_private_key(ec.SECP256R1()))
    tokens = Tokens(public, algorithms=["ES256"])
    assert tokens.verify(jwt.encode(claims(), private, "ES256")).id == "ada"
    refusal(tokens, forge(claims(), key=public))


@pytest.mark.parametrize("secret", ["", "x", "x" * 31, b"x" * 31, "é" * 15])
def test_a_short_secret_is_refused_at_once(secret: str | bytes) -> None:
    with pytest.raises(ConfigurationError, match="at least 32 bytes"):
        Tokens(secret)
    with pytest.raises(ConfigurationError, match="at least 32 bytes"):
        Tokens([SECRET, secret])
    with pytest.raises(ConfigurationError, match="at least 32 bytes"):
        Tickets(secret, FirstComer())
    with pytest.raises(ConfigurationError, match="at least 32 bytes"):
        check_secret(secret)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_a_secret_shorter_than_the_hash_is_refused_at_once(algorithm: str) -> None:
    with pytest.raises(ConfigurationError):
        Tokens("x" * 32, algorithms=[algorithm])
    tokens = Tokens("x" * 64, algorithms=[algorithm])
    assert tokens.verify(tokens.issue("ada")).id == "ada"


def test_a_public_key_as_a_secret_is_refused_at_once(rsa_keys: tuple[str, str]) -> None:
    for key in rsa_keys:
        with pytest.raises(ConfigurationError):
            Tokens(key)
        with pytest.raises(ConfigurationError):
            Tokens([SECRET, key])


def test_what_is_no_public_key_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError):
        Tokens(SECRET, algorithms=["RS256"])
    with pytest.raises(ConfigurationError):
        Tokens(SECRET, algorithms=["ES256"])


@pytest.mark.parametrize(
    "algorithms",
    [
        [],
        ["none"],
        ["None"],
        ["HS256", "RS256"],
        ["RS256", "ES256"],
        ["HS256", "none"],
        ["HS999"],
        "HS256",
        ["xx256"],
    ],
)
def test_algorithms_that_do_not_fit_together_are_refused_at_once(algorithms: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        Tokens("x" * 64, algorithms=algorithms)


@pytest.mark.parametrize("leeway", [-1, 61, float("nan"), float("inf")])
def test_a_leeway_outside_a_minute_is_refused_at_once(leeway: float) -> None:
    with pytest.raises(ConfigurationError, match="leeway"):
        Tokens(SECRET, leeway=leeway)


def test_no_key_at_all_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="needs a key"):
        Tokens([])


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


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_arbitrary_text_is_refused_as_unauthorized_and_nothing_else(text: str) -> None:
    refusal(Tokens(SECRET), text)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_arbitrary_bytes_in_the_shape_of_a_token_are_refused(parts: list[bytes]) -> None:
    refusal(Tokens(SECRET), ".".join(base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in parts))


@given(ANYTHING | CLAIMS)
def test_arbitrary_claims_under_a_right_signature_give_a_user_or_a_refusal(payload: object) -> None:
    user = user_or_refusal(Tokens(SECRET), forge(payload))
    if user is not None:
        assert isinstance(payload, dict)
        assert user.id == payload["sub"]
        assert user.expires_at is not None
        assert user.expires_at > time.time()


@given(ANYTHING | HEADERS)
def test_arbitrary_headers_under_a_right_signature_give_a_user_or_a_refusal(header: object) -> None:
    user = user_or_refusal(Tokens(SECRET), forge(claims(), header))
    assert user is None or (isinstance(header, dict) and header["alg"] == "HS256")


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
def test_a_token_with_one_byte_changed_is_refused(place: int, byte: int) -> None:
    token = forge(claims()).encode()
    place %= len(token)
    changed = (token[:place] + bytes([byte]) + token[place + 1 :]).decode("latin-1")
    if changed.encode("latin-1") != token:
        refusal(Tokens(SECRET), changed)


# Tickets


class FirstComer:
    """Says who was first, as a hub does."""

    def __init__(self) -> None:
        self.keys: dict[str, float] = {}

    async def __call__(self, key: str, seconds: float) -> bool:
        first = key not in self.keys
        self.keys.setdefault(key, seconds)
        return first


def tickets(ttl: float = 60.0, secret: str = SECRET) -> Tickets:
    """Tickets with a memory of their own."""
    return Tickets(secret, FirstComer(), ttl=ttl)


async def not_redeemed(tickets: Tickets, ticket: str, origin: str | None = None) -> str:
    """The reason for the log, of a ticket that must be refused."""
    with pytest.raises(Unauthorized) as refused:
        await tickets.redeem(ticket, origin)
    assert str(refused.value) == "Unauthorized"
    return refused.value.detail


async def test_a_ticket_brings_back_its_user_once() -> None:
    mine, user = tickets(), User("ada", {"role": "admin"}, time.time() + 3_600)
    ticket = mine.issue(user)
    assert await mine.redeem(ticket) == user
    assert await not_redeemed(mine, ticket) == "ticket was used before"
    assert await not_redeemed(mine, ticket) == "ticket was used before"


async def test_two_tickets_of_one_user_are_each_good_once() -> None:
    mine, user = tickets(), User("ada")
    first, second = mine.issue(user), mine.issue(user)
    assert first != second
    assert await mine.redeem(first) == await mine.redeem(second) == user


async def test_a_ticket_is_remembered_for_as_long_as_it_could_be_used() -> None:
    memory = FirstComer()
    mine = Tickets(SECRET, memory, ttl=45)
    await mine.redeem(mine.issue(User("ada")))
    assert list(memory.keys.values()) == [45]


async def test_a_ticket_is_refused_after_its_time() -> None:
    mine = tickets(ttl=-1)
    assert await not_redeemed(mine, mine.issue(User("ada"))) == "ticket: ExpiredSignatureError"


async def test_a_ticket_does_not_outlive_the_credentials_it_was_made_from() -> None:
    mine = tickets()
    ticket = mine.issue(User("ada", expires_at=time.time() - 1))
    assert await not_redeemed(mine, ticket) == "ticket: ExpiredSignatureError"


async def test_a_ticket_of_an_origin_works_from_there_alone_and_a_wrong_try_does_not_use_it_up() -> None:
    mine, home = tickets(), "https://chat.example.com"
    ticket = mine.issue(User("ada"), home)
    for other in (None, "null", f"{home}.evil.com", "http://chat.example.com", f"{home}:444"):
        assert await not_redeemed(mine, ticket, other) == "ticket of another origin"
    assert (await mine.redeem(ticket, home)).id == "ada"


async def test_a_ticket_without_an_origin_works_from_everywhere() -> None:
    mine = tickets()
    assert (await mine.redeem(mine.issue(User("ada")), "https://chat.example.com")).id == "ada"


async def test_a_token_is_no_ticket_and_a_ticket_is_no_token() -> None:
    mine, tokens = tickets(), Tokens(SECRET)
    refusal(tokens, mine.issue(User("ada")))
    token = tokens.issue("ada", claims={"jti": "1"})
    assert await not_redeemed(mine, token) == "ticket: InvalidSignatureError"
    likely = claims(jti="1", claims={}, until=None, origin=None)
    assert await not_redeemed(mine, forge(likely)) == "ticket: InvalidSignatureError"


async def test_a_ticket_of_another_secret_is_refused() -> None:
    other = tickets(secret=secrets.token_urlsafe(32))
    assert await not_redeemed(tickets(), other.issue(User("ada"))) == "ticket: InvalidSignatureError"


@pytest.mark.parametrize("ticket", ["", ".", "..", "garbage", "\ud800", "é", "x" * 8_193, "x" * 2_000_000])
async def test_what_is_no_ticket_is_refused(ticket: str) -> None:
    await not_redeemed(tickets(), ticket)


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
async def test_arbitrary_text_is_refused_as_a_ticket_and_raises_nothing_else(text: str) -> None:
    await not_redeemed(tickets(), text)


async def test_a_ticket_carries_the_claims_of_a_large_token() -> None:
    tokens, mine, home = Tokens(SECRET), tickets(), "https://chat.example.com"
    token = tokens.issue("ada", claims={"fill": "x" * 5_000})
    user = await mine.redeem(mine.issue(tokens.verify(token), home), home)
    assert user.claims["fill"] == "x" * 5_000
