"""TLS to a NATS server, with a look at whether it was used."""

import ssl
from typing import Any, Self


class Encryption(ssl.SSLContext):
    """Knows whether it was used: nats-py would speak in clear to a server that does not ask for TLS."""

    used = False

    @classmethod
    def begin(cls) -> Self:
        """A context that trusts what the machine trusts."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        return context

    def wrap_bio(self, *args: Any, **keywords: Any) -> ssl.SSLObject:
        """Begin to encrypt; called by asyncio."""
        self.used = True
        return super().wrap_bio(*args, **keywords)
