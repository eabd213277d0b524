"""Which tokens are believed, and what their claims mean."""

import asyncio
import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hubbub import ConfigurationError, Unauthorized
from hubbub.core.errors import Refused
from hubbub.gateway import TokenExpired, TokenVerifier, jwks
from hubbub.gateway.claims import read_grant, read_identity
from hubbub.gateway.handlers import Grant
from hubbub.gateway.jwks import JwkSets
from hubbub.gateway.tokens import Claims

SECRET = "a secret of these tests, long enough for every hash, and longer than that"
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()  # type: ignore[no-any-return]


def sign(key: Any = SECRET, algorithm: str = "HS256", *, kid: str | None = None, **claims: Any) -> str:
    claims = {"sub": "ada", "exp": int(time.time()) + 3_600, **claims}
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm, headers={"kid": kid} if kid else None)


def check(verifier: TokenVerifier, token: str) -> Claims:
    claims = verifier.claims(token)
    assert isinstance(claims, dict)
    return claims


# Which are believed


@pytest.mark.parametrize(
    ("signer", "known", "algorithm"),
    [
        (SECRET, SECRET, "HS256"),
        (SECRET * 2, SECRET * 2, "HS512"),
        (RSA_KEY, pem(RSA_KEY), "RS256"),
        (RSA_KEY, pem(RSA_KEY), "PS256"),
        (EC_KEY, pem(EC_KEY), "ES256"),
    ],
    ids=["HS256", "HS512", "RS256", "PS256", "ES256"],
)
def test_a_token_is_believed_by_its_signature(signer: Any, known: str, algorithm: str) -> None:
    verifier = TokenVerifier(known, algorithms=[algorithm])
    token = sign(signer, algorithm)
    assert check(verifier, token)["sub"] == "ada"
    with pytest.raises(Unauthorized):
        verifier.claims(token[:-8] + "AAAAAAAA")


FORGED = {
    "empty": "",
    "no token": "a.b.c",
    "too long": "x" * 9_000,
    "another key": sign(SECRET + "!"),
    "another algorithm": sign(SECRET, "HS384"),
    "a number as user": sign(sub=7),
    "no user": sign(sub=None),
    "no end": sign(exp=None),
    "no time": sign(exp="tomorrow"),
    "an audience": sign(aud="somebody else"),
    "not signed": jwt.encode({"sub": "ada", "exp": int(time.time()) + 60}, None, "none"),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_any_other_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthorized) as refusal:
        TokenVerifier(SECRET).claims(token)
    assert not isinstance(refusal.value, TokenExpired)
    assert str(refusal.value) == "Unauthorized"


def test_a_public_key_is_no_secret() -> None:
    with pytest.raises(ConfigurationError):
        TokenVerifier(pem(RSA_KEY), algorithms=["HS256"])
    with pytest.raises(ConfigurationError):
        TokenVerifier(pem(RSA_KEY), algorithms=["RS256", "HS256"])


def test_an_expired_token_is_told_from_a_forged_one() -> None:
    ended = int(time.time()) - 60
    with pytest.raises(TokenExpired):
        TokenVerifier(SECRET).claims(sign(exp=ended))
    with pytest.raises(Unauthorized) as refusal:
        TokenVerifier(SECRET).claims(sign(SECRET + "!", exp=ended))
    assert not isinstance(refusal.value, TokenExpired)
    assert check(TokenVerifier(SECRET), sign(exp=int(time.time()) - 5))  # clocks differ


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_that_comes_too_early_is_told_from_a_forged_one(claim: str) -> None:
    """Whoever made it has another time: a token of later may be good."""
    later = {claim: int(time.time()) + 600}
    with pytest.raises(TokenExpired):
        TokenVerifier(SECRET).claims(sign(**later))
    with pytest.raises(Unauthorized) as refusal:
        TokenVerifier(SECRET).claims(sign(SECRET + "!", **later))
    assert not isinstance(refusal.value, TokenExpired)


def test_keys_rotate_and_tokens_without_end_are_an_option() -> None:
    old = sign("the old secret of these tests, long enough")
    assert check(TokenVerifier([SECRET, "the old secret of these tests, long enough"]), old)
    assert check(TokenVerifier(SECRET, endless=True), sign(exp=None))["sub"] == "ada"
    with pytest.raises(TokenExpired):
        TokenVerifier(SECRET, endless=True).claims(sign(exp=1))


def test_audience_and_issuer_are_compared() -> None:
    verifier = TokenVerifier(SECRET, audience="chat", issuer="login")
    assert check(verifier, sign(aud=["chat", "mail"], iss="login"))
    for wrong in ({}, {"aud": "chat"}, {"aud": "mail", "iss": "login"}, {"aud": "chat", "iss": "x"}):
        with pytest.raises(Unauthorized):
            verifier.claims(sign(**wrong))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"key": "short"},
        {"key": SECRET, "algorithms": ["none"]},
        {"key": SECRET, "leeway": 61},
        {"key": SECRET, "jwks": ["https://login.example/keys"]},
        {"jwks": ["https://login.example/keys"]},
        {"jwks": ["http://login.example/keys"], "algorithms": ["RS256"]},
        {"jwks": ["file:///etc/passwd"], "algorithms": ["RS256"]},
        {"jwks": ["https://login.example/keys"], "algorithms": ["RS256", "ES256"]},
    ],
)
def test_what_cannot_work_is_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        TokenVerifier(**arguments)


# Key sets


class KeyServer(http.server.ThreadingHTTPServer):
    """Serves key sets; `keys` may change, None is an error."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.keys: list[dict[str, Any]] | None = []
        self.asked = 0
        self.may_end = threading.Event()
        """While it is not set, answers go on and on."""

        self.may_end.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/keys"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.asked += 1
        keys = self.server.keys
        self.send_response(500 if keys is None else 200)
        self.end_headers()
        while not self.server.may_end.wait(0.02):
            self.wfile.write(b" ")
        self.wfile.write(json.dumps({"keys": keys}).encode())

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    with serving_keys() as server:
        yield server


@contextmanager
def serving_keys() -> Iterator[KeyServer]:
    with KeyServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def jwk(key: Any, kid: str) -> dict[str, Any]:
    made = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**made, "kid": kid, "use": "sig", "alg": "RS256"}


async def claims_of(verifier: TokenVerifier, token: str) -> Claims:
    claims = verifier.claims(token)
    return claims if isinstance(claims, dict) else await claims  # type: ignore[misc]


async def test_keys_are_fetched_once_and_again_when_a_new_one_is_named(key_server: KeyServer) -> None:
    key_server.keys = [jwk(RSA_KEY, "one")]
    verifier = TokenVerifier(jwks=[key_server.url], algorithms=["RS256"])
    token = sign(RSA_KEY, "RS256", kid="one")
    for claims in await asyncio.gather(*(claims_of(verifier, token) for _ in range(10))):
        assert claims["sub"] == "ada"
    assert isinstance(verifier.claims(token), dict)  # without waiting
    assert key_server.asked == 1
    # Anybody can name a key that is not there: that does not make us ask for ever.
    for number in range(20):
        with pytest.raises(Unauthorized):
            await claims_of(verifier, sign(RSA_KEY, "RS256", kid=f"unknown {number}"))
    assert key_server.asked == 1


async def test_a_new_key_is_found_and_old_keys_stay_while_nobody_answers(key_server: KeyServer) -> None:
    key_server.keys = [jwk(RSA_KEY, "one")]
    sets = JwkSets([key_server.url], lifetime=0.01, cooldown=0.0)
    assert len(await sets.find("one")) == 1
    key_server.keys = [jwk(RSA_KEY, "one"), jwk(RSA_KEY, "two")]
    assert len(await sets.find("two")) == 1
    key_server.keys = None
    await asyncio.sleep(0.02)
    assert len(await sets.find("two")) == 1
    assert await sets.find("three") == []


async def test_an_answer_that_does_not_end_keeps_nobody_waiting_for_long(
    key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_server.keys = [jwk(RSA_KEY, "one")]
    sets = JwkSets([key_server.url], lifetime=0.01, cooldown=0.0)
    assert len(await sets.find("one")) == 1
    monkeypatch.setattr(jwks, "WAIT", 0.1)
    key_server.may_end.clear()
    try:
        await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            found = [await sets.find("one") for _ in range(100)]  # only the first ones wait
        assert {len(keys) for keys in found} == {1}
        assert key_server.asked == 2
    finally:
        key_server.may_end.set()
    assert sets._fetching is not None
    await sets._fetching


async def test_a_key_of_another_kind_is_not_used(key_server: KeyServer) -> None:
    secret = base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")
    key_server.keys = [{"kty": "oct", "k": secret, "kid": "one", "alg": "HS256"}]
    verifier = TokenVerifier(jwks=[key_server.url], algorithms=["RS256"])
    with pytest.raises(Unauthorized):
        await claims_of(verifier, sign(kid="one"))


async def test_addresses_in_a_token_are_not_followed(key_server: KeyServer) -> None:
    key_server.keys = [jwk(RSA_KEY, "one")]
    with serving_keys() as evil:
        evil.keys = [jwk(RSA_KEY, "evil")]
        headers = {"kid": "evil", "jku": evil.url, "x5u": evil.url, "jwk": jwk(RSA_KEY, "evil")}
        token = jwt.encode({"sub": "ada", "exp": int(time.time()) + 60}, RSA_KEY, "RS256", headers)
        verifier = TokenVerifier(jwks=[key_server.url], algorithms=["RS256"])
        with pytest.raises(Unauthorized):
            await claims_of(verifier, token)
        assert evil.asked == 0


# What claims mean


def test_a_connection_token_says_who_it_is_and_where() -> None:
    identity = read_identity(
        {
            "sub": "ada",
            "exp": time.time() + 60,
            "info": {"name": "Ada"},
            "channels": ["news"],
            "subs": {"chat:1": {"data": [1], "override": {"presence": {"value": True}, "cache": None}}},
            "meta": {"plan": "gold"},
        },
        anonymous=False,
    )
    assert identity.user is not None
    assert identity.user.id == "ada"
    assert identity.user.claims["meta"] == {"plan": "gold"}
    assert identity.info == '{"name":"Ada"}'
    assert identity.ttl is not None
    assert 55 < identity.ttl <= 60
    assert identity.client_refresh
    assert set(identity.rooms) == {"news", "chat:1"}
    assert identity.rooms["chat:1"].data == "[1]"
    assert identity.rooms["chat:1"].options == {"presence": True}


def test_a_claim_that_is_null_is_one_that_is_not_there() -> None:
    """As Go writes a slice or a map that nobody has made."""
    claims = {"sub": "ada", "exp": time.time() + 60}
    nulls = dict.fromkeys(("channels", "subs", "info", "b64info", "meta", "jti", "iat", "expire_at"))
    identity = read_identity({**claims, **nulls}, anonymous=False)
    assert (identity.rooms, identity.info, identity.client_refresh) == ({}, None, True)
    identity = read_identity({**claims, "subs": {"news": None}}, anonymous=False)
    assert identity.rooms["news"] == Grant(by_token=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sub": ""},
        {"sub": "x" * 256},
        {"channel": "news"},
        {"channels": "news"},
        {"subs": ["news"]},
        {"b64info": "!"},
        {"expire_at": "tomorrow"},
    ],
)
def test_malformed_claims_let_nobody_in(wrong: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        read_identity({"sub": "ada", "exp": time.time() + 60, **wrong}, anonymous=False)


@pytest.mark.parametrize(
    ("claims", "ttl"),
    [
        ({"exp": 10}, 10),
        ({"exp": -10}, 1),
        ({}, None),
        ({"exp": 10, "expire_at": 100}, 100),
        ({"expire_at": 100}, 100),
        ({"expire_at": -100}, -100),
        ({"expire_at": float("nan")}, None),
    ],
)
def test_a_connection_ends_with_its_token_or_when_it_says(
    claims: dict[str, float], ttl: float | None
) -> None:
    now = time.time()
    identity = read_identity(
        {"sub": "ada", **{name: now + value for name, value in claims.items()}}, anonymous=False
    )
    assert identity.ttl == (None if ttl is None else pytest.approx(ttl, abs=1))


def test_a_connection_may_go_on_when_its_token_has_ended() -> None:
    identity = read_identity({"sub": "ada", "exp": time.time() + 5, "expire_at": 0}, anonymous=False)
    assert (identity.ttl, identity.client_refresh) == (None, False)


def test_nobody_is_a_user_only_where_that_is_allowed() -> None:
    assert read_identity({"sub": "", "exp": time.time() + 60}, anonymous=True).user is None


def test_a_subscription_token_is_for_one_user_and_one_room() -> None:
    claims = {"sub": "ada", "channel": "chat:1", "exp": time.time() + 60, "b64info": "WzFd"}
    shown = {"user": "ada", "client": "c", "room": "chat:1"}
    grant = read_grant(claims, **shown)
    assert (grant.info, grant.by_token, grant.client_refresh) == (b"[1]", True, True)
    for other in ({"user": "bob"}, {"room": "chat:2"}, {"user": ""}):
        with pytest.raises(Refused):
            read_grant(claims, **{**shown, **other})
    with pytest.raises(Refused):
        read_grant({**claims, "client": "another"}, **shown)
    with pytest.raises(Refused):
        read_grant({**claims, "info": 1, "override": [1]}, **shown)
    with pytest.raises(Refused):
        read_grant({"sub": "ada", "exp": time.time() + 60}, **shown)
