"""From ASGI's (scope, receive, send) to a transport: what bytes reach one client by, on any ASGI server."""
