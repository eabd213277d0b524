"""What Hubbub promises of itself: at most so many times another server's figure, or at most so much."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """`server` costs at most `at_most` times what `beside` costs; with no `beside`, that many units."""

    row: str
    server: str
    beside: str | None
    at_most: float


ALL: tuple[Target, ...] = (
    Target("fanout-w1", "hubbub", "socketify", 1.0),
    Target("fanout-w1", "hubbub", "tutorial", 0.45),
    Target("fanout-w64", "hubbub", "socketify", 1.0),
    Target("fanout-w1", "hubbub-bare", "floor", 1.4),
    Target("fanout-w64", "hubbub-bare", "floor", 1.4),
    Target("rooms", "hubbub", "tutorial", 0.5),
    Target("echo", "asgi-hubbub", "asgi-uvicorn", 0.45),
    Target("connect", "asgi-hubbub", "asgi-uvicorn", 0.35),
    Target("memory", "asgi-hubbub", None, 8.0),
    Target("memory", "hubbub-bare", None, 11.0),
    Target("stalled", "hubbub", None, 1.1),
    Target("fanout-w1", "hubbub-history", "hubbub", 1.3),
    Target("fanout-w64", "hubbub-history", "hubbub", 1.3),
    Target("fanout-w1", "hubbub-centrifuge", "hubbub", 1.5),
    Target("fanout-w64", "hubbub-centrifuge", "hubbub", 1.5),
    Target("connect", "hubbub-centrifuge", None, 250.0),
    Target("memory", "hubbub-centrifuge", None, 14.0),
    Target("publish", "hubbub-sqlite", "hubbub-history", 1 / 0.3),
    Target("publish-workers", "hubbub-redis", "tutorial-redis", 1 / 4),
)
