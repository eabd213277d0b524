"""Tokens and tickets: what they bring back, which keys work, how often. Defects: test_token_defects.py."""

import secrets
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from forged_tokens import FAR, SECRET, claims, forge, part, refusal

from hubbub.auth import Tickets, Tokens, check_secret
from hubbub.core.errors import ConfigurationError, Unauthorized
from hubbub.core.users import User

# What is accepted


def test_a_token_brings_back_its_user_with_claims_and_end() -> None:
    tokens = Tokens(SECRET, leeway=30)
    before = int(time.time())
    user = tokens.verify(tokens.issue("ada", ttl=60, claims={"role": "admin"}))
    assert user.id == "ada"
    assert user.claims["role"] == "admin"
    assert user.expires_at is not None
    assert before + 90 <= user.expires_at <= time.time() + 91


def test_a_forged_token_with_the_right_key_is_accepted_so_that_refusals_mean_something() -> None:
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


# Keys and algorithms


def test_after_a_rotation_the_old_key_verifies_and_the_new_one_signs() -> None:
    old, new = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    before, after = Tokens(old), Tokens([new, old])
    assert after.verify(before.issue("ada")).id == "ada"
    assert Tokens(new).verify(after.issue("ada")).id == "ada"
    refusal(before, after.issue("ada"))
    refusal(Tokens([new]), before.issue("ada"))
    refusal(after, forge(claims(), key=secrets.token_bytes(32)))


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


async def test_a_ticket_carries_the_claims_of_a_large_token() -> None:
    tokens, mine, home = Tokens(SECRET), tickets(), "https://chat.example.com"
    token = tokens.issue("ada", claims={"fill": "x" * 5_000})
    user = await mine.redeem(mine.issue(tokens.verify(token), home), home)
    assert user.claims["fill"] == "x" * 5_000
