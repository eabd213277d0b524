"""A certificate and its key, looked at before a server relies on them."""

import ssl
from os import PathLike
from typing import Final

from hubbub.core.errors import ConfigurationError

Path = str | PathLike[str]

TOO_EARLY: Final = 9
"""X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL."""

TOO_LATE: Final = 10
"""X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL."""

_ROUNDS: Final = 8
"""More than a handshake has messages."""

_REASONS: Final = {
    "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
    "NO_START_LINE": "the first of them is no certificate in PEM",
    "PEM lib": "one of them is not what it should be in PEM, or the key has a passphrase",
}


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """What a server would use. Without a key of its own, the certificate's file has it.

    Raises:
        ConfigurationError: if they cannot be read, or do not belong together. Nobody is asked for a
            passphrase.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, lambda: "")
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        said = next((said for name, said in _REASONS.items() if name in str(error)), error.args[-1])
        raise ConfigurationError(f"{certificate} and {key or 'its key'}: {said}") from error
    return context


def ends_at(certificate: Path, key: Path) -> float:
    """When the certificate ends, in seconds since 1970; a client that trusts it alone is asked.

    Raises:
        ConfigurationError: if it cannot be used, has ended or has not begun.
    """
    server_side, client_side = server_context(certificate, key), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.check_hostname = False
    client_side.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client_side.load_verify_locations(certificate)
    out, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(back, out)
    server = server_side.wrap_bio(out, back, server_side=True)
    try:
        for _ in range(_ROUNDS):
            for one in (client, server):
                try:
                    one.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError as error:
        known = {TOO_EARLY: "it is not valid yet", TOO_LATE: "it has expired"}
        said = known.get(error.verify_code, error.verify_message)
        raise ConfigurationError(f"{certificate}: {said}") from error
    found = client.getpeercert() or {}
    return ssl.cert_time_to_seconds(str(found["notAfter"]))
