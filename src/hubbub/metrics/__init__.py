"""A hub's figures for Prometheus. Needs the package `prometheus-client`, which the extra `server` brings."""

from hubbub.metrics.routes import hub_collector, metrics_routes

__all__ = ["hub_collector", "metrics_routes"]
