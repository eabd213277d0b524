"""The admin page: what its pages see and do. `admin_routes` is all that the server needs of it."""

from hubbub.server.admin.routes import admin_routes

__all__ = ["admin_routes"]
