"""How long publications took to their members."""

from collections.abc import Callable, Iterable, Sequence

from delivery_logs import ClientLog, Received
from publishers import Press


def sent_times(publishers: Press) -> dict[tuple[str, int], float]:
    """When each publication was sent, for the last time if several times."""
    return {
        (one.name, sequence): moment
        for one in publishers.publishers
        for sequence, moment in enumerate(one.sent)
    }


def latencies(
    logs: Iterable[ClientLog],
    sent: dict[tuple[str, int], float],
    when: Callable[[float], bool] = lambda moment: True,
) -> list[float]:
    """Seconds from sending to arrival, of all publications that were sent at such a time."""
    return [
        event.time - sent[identity]
        for log in logs
        for event in log.events
        if isinstance(event, Received)
        and (identity := (event.publisher, event.sequence)) in sent
        and when(sent[identity])
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    assert values, "nothing was measured"
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
