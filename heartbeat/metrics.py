"""Counters and histograms of the heartbeat system."""

from prometheus_client import Counter, Gauge, Histogram

ACCEPTED = Counter("lekiwi_heartbeat_accepted", "Calls acknowledged after their commit", ["call", "role"])
REJECTED = Counter("lekiwi_heartbeat_rejected", "Calls not acknowledged, by reason", ["call", "reason"])
DUPLICATES = Counter("lekiwi_heartbeat_duplicates", "Acknowledged calls that were stored before")
SOCKETS = Gauge("lekiwi_heartbeat_robot_sockets", "Open WebSockets of robots")
COMMIT_ROWS = Histogram(
    "lekiwi_heartbeat_commit_rows",
    "Heartbeats that shared one commit",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
COMMIT_SECONDS = Histogram(
    "lekiwi_heartbeat_commit_seconds",
    "How long a commit took, from being sent: one may be under way before it",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)
