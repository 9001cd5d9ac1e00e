"""Counters of the live process."""

from dataclasses import dataclass
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

SOCKETS = Gauge("lekiwi_dashboard_sockets", "Open subscriptions of browsers", ["view"])
HANDSHAKES = Counter("lekiwi_dashboard_handshakes", "WebSocket handshakes of browsers, by how they ended", ["result"])
FRAMES = Counter("lekiwi_dashboard_frames", "Times that a browser was brought up to date", ["view"])
SKIPPED = Counter(
    "lekiwi_dashboard_frames_skipped", "Frames not written because the browser had not taken the one before", ["view"]
)
TICK_SECONDS = Histogram(
    "lekiwi_dashboard_tick_seconds",
    "How long one tick of a view took: to look and encode once, to hand out to all",
    ["view", "part"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
)
SESSION_QUERIES = Counter("lekiwi_dashboard_session_queries", "Queries for the logins of sockets")


@dataclass(frozen=True, slots=True)
class ViewMetrics:
    """The metrics of one family of views, looked up once: a label costs more than a count."""

    sockets: Gauge
    frames: Counter
    skipped: Counter


@cache
def metrics_of(family: str) -> ViewMetrics:
    """The metrics of a family; there are as many as there are sources."""
    return ViewMetrics(SOCKETS.labels(family), FRAMES.labels(family), SKIPPED.labels(family))
