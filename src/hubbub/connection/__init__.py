"""One client, as the hub and a handler see it."""

from hubbub.connection.connection import PONGS, Connection, Membership
from hubbub.connection.host import Delegate, Host, Joined

__all__ = ["PONGS", "Connection", "Delegate", "Host", "Joined", "Membership"]
