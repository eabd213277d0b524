"""What a load is put on: rooms behind a path of plain WebSockets, or rooms of the Centrifuge protocol."""

from itertools import count
from typing import Final

from hubbub.server.commands.load_clients import CentrifugeSpeech, PlainSpeech, Speech
from hubbub.server.commands.token import make_token
from hubbub.server.configuration import Configuration

TOKEN_TTL: Final = 3_600.0
"""Seconds that the clients' tokens are good: longer than any run."""


class PlainTarget:
    """Rooms behind a path of plain WebSockets."""

    def __init__(self, address: str, path: str, run: str) -> None:
        self._base = "ws" + address.removeprefix("http") + "/" + path.lstrip("/")
        self._run = run

    def url(self, room: int) -> str:
        """The room's own."""
        return self._base.replace("{room}", f"bench-{self._run}-{room}")

    def speech(self, room: int) -> Speech:
        """Text as it is."""
        return PlainSpeech()


class CentrifugeTarget:
    """Rooms of the Centrifuge protocol, with tokens where there is a secret to sign them with."""

    def __init__(self, address: str, room: str, run: str, configuration: Configuration) -> None:
        self._url = "ws" + address.removeprefix("http") + "/connection/websocket"
        self._room = room
        self._run = run
        self._configuration = configuration if configuration.settings.secret else None
        self._users = count(1)

    def name(self, room: int) -> str:
        """The room's."""
        return self._room.replace("{room}", f"bench-{self._run}-{room}")

    def url(self, room: int) -> str:
        """One for all."""
        return self._url

    def speech(self, room: int) -> Speech:
        """Commands."""
        name, connecting = self.name(room), dict[str, object](name="hubbub bench")
        if self._configuration is None:
            return CentrifugeSpeech(name, connecting, None)
        user = f"bench-{next(self._users)}"  # each its own: a server has limits for each user
        connecting["token"] = make_token(self._configuration, user, TOKEN_TTL)
        return CentrifugeSpeech(name, connecting, make_token(self._configuration, user, TOKEN_TTL, name))
