"""Makes JSON Web Tokens that no library would make, with a right signature."""

import base64
import hmac
import json
import secrets

import pytest

from hubbub.auth import Tokens
from hubbub.core.errors import Unauthorized

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
