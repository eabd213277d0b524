"""Users who are blocked and tokens that are revoked: known to all nodes, and to those that start later.

The rules are those of the page "User blocking and token revocation" of Centrifugo's documentation.
"""

import asyncio
from functools import partial
from itertools import islice
from typing import Final, Literal, TypeAlias

import msgspec

from hubbub.centrifuge.errors import DisconnectCode
from hubbub.connection import Connection
from hubbub.core.errors import Unauthorized
from hubbub.core.users import User
from hubbub.gateway.clients import Clients, Subject
from hubbub.gateway.handlers import NO_TOKEN, CommandFailed, Grant, Identity, TokenMark, mark_of
from hubbub.gateway.user_commands import plain_code
from hubbub.hub.ledger import Ledger
from hubbub.hub.parts import Parts

LEDGER: Final = "revoked"

PER_TURN: Final = 256
"""Clients judged in one turn of the event loop, when all have to be. A microsecond or two for each."""

Kind: TypeAlias = Literal["user", "token", "tokens"]

_Key: TypeAlias = tuple[Kind, str, str]
"""What it is about: a user's id, a token's id, or the tokens of a user, perhaps only those of one room."""

_YES: Final = msgspec.msgpack.encode(True)
_keys: Final = msgspec.msgpack.Decoder(_Key)
_times: Final = msgspec.msgpack.Decoder(float)


class Revocations:
    """Judges clients by what was revoked, when they come and whenever something is.

    Args:
        clients: of this node.
        parts: of the running hub.
    """

    __slots__ = ("_clients", "_ledger", "_suspects")

    def __init__(self, clients: Clients, parts: Parts) -> None:
        self._clients = clients
        self._suspects: dict[Subject | Connection, None] = {}  # who is yet to be judged, of those here
        self._ledger = Ledger(LEDGER, parts.broker, parts.following, parts.signals, self._changed)

    async def start(self) -> None:
        """Learn what was revoked before. Raises `BrokerError`."""
        await self._ledger.start()

    async def stop(self) -> None:
        """Hear of nothing more."""
        self._suspects.clear()
        await self._ledger.stop()

    # What the API wants

    async def block(self, user: str, expires: float | None) -> None:
        """Let a user in no more, and end the user's connections. Raises `LimitReached`, `BrokerError`."""
        await self._ledger.put(_key("user", user), _YES, expires)

    async def unblock(self, user: str) -> None:
        """Let the user in again. Raises `BrokerError`."""
        await self._ledger.remove(_key("user", user))

    async def revoke(self, token: str, expires: float | None) -> None:
        """The token with this id (its `jti`) is good no more. Raises `LimitReached`, `BrokerError`."""
        await self._ledger.put(_key("token", token), _YES, expires)

    async def invalidate(self, user: str, room: str, before: float, expires: float | None) -> None:
        """A user's tokens are good no more that were issued before that time, or at an unknown one.

        Args:
            user: the user's id.
            room: only subscription tokens for this room; empty for all tokens.
            before: seconds since the Unix epoch, compared with `iat`.
            expires: when this is forgotten.

        Raises:
            LimitReached, BrokerError: as above.
        """
        await self._ledger.put(_key("tokens", user, room), msgspec.msgpack.encode(float(before)), expires)

    # What clients show

    def check_identity(self, identity: Identity) -> Identity:
        """The identity, if nothing of it was revoked.

        Raises:
            CommandFailed: 3507 for a user who is blocked.
            Unauthorized: for a token that is revoked.
        """
        self._check_user(identity.user)
        self._check_token(identity.user, identity.token)
        return identity

    def check_user(self, user: User) -> None:
        """Raises `Unauthorized` for the user of a plain client who is blocked, or whose token is revoked."""
        if self._blocked(user):
            raise Unauthorized("blocked")
        self._check_token(user, mark_of(user))

    def check_grant(self, user: User | None, room: str, grant: Grant) -> Grant:
        """The subscription, if its token was not revoked. Raises `Unauthorized` (103)."""
        self._check_token(user, grant.token, room)
        return grant

    def _check_user(self, user: User | None) -> None:
        if user is not None and self._blocked(user):
            raise CommandFailed(DisconnectCode.PERMISSION_DENIED.disconnect)

    def _blocked(self, user: User) -> bool:
        return self._ledger.get(_key("user", user.id)) is not None

    def _check_token(self, user: User | None, token: TokenMark, room: str = "") -> None:
        if token is NO_TOKEN:
            return
        if token.id and self._ledger.get(_key("token", token.id)) is not None:
            raise Unauthorized("revoked")
        if user is None:
            return
        for scope in {"", room}:
            before = self._ledger.get(_key("tokens", user.id, scope))
            if before is not None and (token.issued is None or token.issued < _times.decode(before)):
                raise Unauthorized("issued too early")

    # What all nodes are told

    def _changed(self, key: bytes, value: bytes | None) -> None:
        """Something was revoked: whoever came with it goes."""
        if value is None:
            return
        kind, name, _ = _keys.decode(key)
        if kind == "token":
            affected: list[Subject | Connection] = [*self._clients.all, *self._clients.plain]
        else:
            affected = [*self._clients.of(name), *self._clients.plain_of(name)]
        judging = bool(self._suspects)
        self._suspects |= dict.fromkeys(affected)
        if not judging:
            self._judge_some()

    def _judge_some(self) -> None:
        """Judge the first of those who are to be judged, and the others in later turns."""
        try:
            for suspect in list(islice(self._suspects, PER_TURN)):
                del self._suspects[suspect]
                if isinstance(suspect, Connection):
                    self._judge_plain(suspect)
                else:
                    self._judge(suspect)
        finally:
            if self._suspects:
                asyncio.get_running_loop().call_soon(self._judge_some)

    def _judge(self, client: Subject) -> None:
        user = client.connection.user
        try:
            self._check_user(user)
            self._check_token(user, client.token)
        except CommandFailed:
            self._end(client, DisconnectCode.PERMISSION_DENIED)
            return
        except Unauthorized:
            self._end(client, DisconnectCode.INVALID_TOKEN)
            return
        for room, grant in list(client.grants.items()):
            try:
                self.check_grant(user, room, grant)
            except Unauthorized:
                client.unsubscribe(room)

    def _end(self, client: Subject, code: DisconnectCode) -> None:
        self._clients.end(client.connection, partial(client.disconnect, code.disconnect))

    def _judge_plain(self, connection: Connection) -> None:
        if connection.user is None:
            return
        code = DisconnectCode.PERMISSION_DENIED if self._blocked(connection.user) else None
        try:
            self._check_token(connection.user, mark_of(connection.user))
        except Unauthorized:
            code = code or DisconnectCode.INVALID_TOKEN
        if code is not None:
            end = partial(connection.end, plain_code(code.disconnect), code.text)
            self._clients.end(connection, end)


def _key(kind: Kind, name: str, room: str = "") -> bytes:
    return msgspec.msgpack.encode((kind, name, room))
