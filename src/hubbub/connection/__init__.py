"""One client, as the hub and a handler see it."""

from hubbub.connection.connection import PONGS, Connection, Host, Joined, Membership

__all__ = ["PONGS", "Connection", "Host", "Joined", "Membership"]
