"""The WebSocket tutorial's whole system, on the hub."""
