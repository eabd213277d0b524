"""Figures as families of metrics, with the names that Prometheus' conventions give them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hubbub.core.figures import Distribution, Figures
from hubbub.core.stats import RefusalReason

Value: TypeAlias = Callable[[Figures], float]


@dataclass(frozen=True, slots=True)
class Together:
    """The figures of all processes of a machine."""

    figures: Figures
    processes: int
    """How many of them run."""


_GAUGES: Final[tuple[tuple[str, str, Value], ...]] = (
    ("connections", "Connections now.", lambda one: one.connections),
    ("rooms", "Rooms that have members now, counted in each process.", lambda one: one.rooms),
    ("members", "Memberships now: a connection counts once for each of its rooms.", lambda one: one.members),
    ("queued_bytes", "Bytes that wait for clients now.", lambda one: one.queued_bytes),
    ("queued_most_bytes", "Most bytes that have ever waited for one client.", lambda one: one.queued_most),
    (
        "broker_up",
        "Whether the broker takes publications.",
        lambda one: one.broker_connected,
    ),
    (
        "loop_lag_seconds",
        "How late the event loop is, of all the latest.",
        lambda one: one.loop_lag,
    ),
    ("loop_lag_most_seconds", "The largest lag of the last ten seconds.", lambda one: one.loop_lag_most),
)

_COUNTERS: Final[tuple[tuple[str, str, Value], ...]] = (
    ("connections_opened", "Connections accepted.", lambda one: one.opened),
    ("received_messages", "Messages of clients.", lambda one: one.messages_in),
    ("received_bytes", "Bytes of the payload of clients' messages.", lambda one: one.bytes_in),
    ("publications", "Publications that the broker has accepted.", lambda one: one.publications),
    ("deliveries", "Publications written to members, one for each.", lambda one: one.deliveries),
    ("sent_messages", "Deliveries, and messages to one client alone.", lambda one: one.messages_out),
    ("sent_bytes", "Bytes of all messages to clients, as encoded for them.", lambda one: one.bytes_out),
    ("dropped_messages", "Messages that a room's overflow policy has dropped.", lambda one: one.dropped),
    ("slow_closes", "Connections closed because they read too slowly.", lambda one: one.slow),
    ("dead_closes", "Connections closed because they did not answer the heartbeat.", lambda one: one.dead),
    ("broker_errors", "Calls that the broker did not carry out.", lambda one: one.broker_errors),
    (
        "broker_repaired_publications",
        "Publications the link lost, found again.",
        lambda one: one.repaired,
    ),
    ("broker_losses", "Times that a room lost publications for good.", lambda one: one.interrupted),
)


class HubCollector(Collector):
    """Gives a registry of `prometheus_client` the metrics of a hub, as they are at each scrape.

    Collect on the thread of the hub's event loop.

    Args:
        together: takes the figures of all processes.
    """

    def __init__(self, together: Callable[[], Together]) -> None:
        self._together = together

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are not looked up before there is a scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families."""
        together = self._together()
        figures = together.figures
        for name, text, value in _GAUGES:
            yield GaugeMetricFamily(f"hubbub_{name}", text, value(figures))
        for name, text, value in _COUNTERS:
            yield CounterMetricFamily(f"hubbub_{name}", text, value(figures))
        closed = CounterMetricFamily(
            "hubbub_connections_closed", "Connections that have ended, by close code.", labels=("code",)
        )
        for code, count in sorted(figures.closed.items()):
            closed.add_metric((code,), count)
        yield closed
        refused = CounterMetricFamily("hubbub_refusals", "Refusals, by reason.", labels=("reason",))
        for reason in RefusalReason:
            refused.add_metric((reason.value,), figures.refused.get(reason.value, 0))
        yield refused
        yield _histogram(
            "broker_publish_seconds",
            "Seconds until the broker had accepted a publication.",
            figures.publishing,
        )
        hooks = CounterMetricFamily(
            "hubbub_hook_requests",
            "Questions to a backend, by event and outcome.",
            labels=("event", "outcome"),
        )
        for label, count in sorted(figures.hooks.items()):
            hooks.add_metric(label.split("/"), count)
        yield hooks
        yield _histogram("hook_seconds", "Seconds until the backend had answered.", figures.hook_times)
        yield GaugeMetricFamily("hubbub_processes", "Processes that run.", together.processes)


def _histogram(name: str, text: str, times: Distribution) -> Metric:
    bounds = [str(float(bound)) for bound, _ in times.buckets] + ["+Inf"]
    counts = accumulate([*(count for _, count in times.buckets), times.longer])
    return HistogramMetricFamily(
        f"hubbub_{name}",
        text,
        buckets=list(zip(bounds, counts, strict=True)),
        sum_value=times.sum,
    )
