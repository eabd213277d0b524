"""What the gateway is on all nodes: its clients can be found, asked about, acted on and judged everywhere."""

from hubbub.core.errors import ConfigurationError, HubNotRunning
from hubbub.core.users import User
from hubbub.gateway.clients import Clients, Subject
from hubbub.gateway.handlers import Grant, Identity
from hubbub.gateway.relay import Relay
from hubbub.gateway.revocations import Revocations
from hubbub.gateway.service import SHUTDOWN
from hubbub.gateway.surveys import Surveys
from hubbub.gateway.user_commands import KIND, UserCommand, encode, obey
from hubbub.hub import Hub
from hubbub.hub.parts import Parts
from hubbub.hub.survey import Survey


class Life:
    """What there is only while the hub runs."""

    __slots__ = ("clients", "parts", "relay", "revocations", "survey", "surveys")

    def __init__(self, hub: Hub, parts: Parts) -> None:
        self.parts = parts
        self.clients = Clients(parts.connections)
        self.survey = Survey(parts.nodes, parts.signals, parts.clock)
        self.surveys = Surveys(hub, self.clients, self.survey)
        self.revocations = Revocations(self.clients, parts)
        self.relay = Relay(parts.nodes, parts.signals, self.clients)
        parts.nodes.handle(KIND, lambda node, data: obey(self.clients, data))


class Everywhere:
    """A `Companion` of the hub: the gateway among those of the other nodes.

    Args:
        hub: the hub.

    Raises:
        ConfigurationError: if the hub runs already, or has a gateway already.
    """

    __slots__ = ("_hub", "_life")

    def __init__(self, hub: Hub) -> None:
        if hub.running or any(isinstance(one, Everywhere) for one in hub.companions):
            raise ConfigurationError("A hub has one Gateway, which is made before the hub runs")
        self._hub = hub
        self._life: Life | None = None  # None while the hub is not running
        hub.companions.append(self)
        hub.screens.append(self._check_user)

    async def begin(self, parts: Parts) -> None:
        """The hub begins. Raises `BrokerError` if it cannot be learned what was revoked."""
        life = Life(self._hub, parts)
        await life.revocations.start()
        await life.relay.start()
        self._life = life

    async def end(self) -> None:
        """The hub ends."""
        life, self._life = self._running, None
        for client in life.clients.all:  # of whom it is not known yet who they are: no connections of the hub
            client.connection.end(*SHUTDOWN)
        life.relay.stop()
        await life.survey.stop()
        await life.revocations.stop()

    @property
    def _running(self) -> Life:
        if self._life is None:
            raise HubNotRunning
        return self._life

    @property
    def surveys(self) -> Surveys:
        """Asks all nodes. Raises `HubNotRunning`, as all of these do."""
        return self._running.surveys

    @property
    def survey(self) -> Survey:
        """Carries questions of others, too."""
        return self._running.survey

    @property
    def revocations(self) -> Revocations:
        """Blocks and revokes."""
        return self._running.revocations

    @property
    def relay(self) -> Relay:
        """Takes frames of clients to their nodes."""
        return self._running.relay

    @property
    def node(self) -> str:
        """This node's id."""
        return self._running.parts.nodes.id

    @property
    def clients(self) -> Clients:
        """Those of this node."""
        return self._running.clients

    async def tell(self, command: UserCommand) -> None:
        """Have all nodes, this one too, do something with a user's clients. Raises `BrokerError`."""
        await self._running.parts.nodes.command(KIND, encode(command))

    def came(self, client: Subject, transport: str, session: str = "") -> None:
        """A client has come."""
        self._running.clients.add(client, transport, session)

    def went(self, client: Subject) -> None:
        """A client has gone."""
        if self._life is not None:
            self._life.clients.remove(client)

    # Screening

    def _check_user(self, user: User) -> None:
        if self._life is not None:
            self._life.revocations.check_user(user)

    def check_identity(self, identity: Identity) -> Identity:
        """The identity, unless its user is blocked or its token revoked: `Revocations.check_identity`."""
        return self._running.revocations.check_identity(identity)

    def check_grant(self, user: User | None, room: str, grant: Grant) -> Grant:
        """The subscription, unless its token is revoked: `Revocations.check_grant`."""
        return self._running.revocations.check_grant(user, room, grant)
