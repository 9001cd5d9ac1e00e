"""What ingest counts of signals and of requests to stop."""

from prometheus_client import Counter

SIGNALS = Counter("lekiwi_teleop_signals", "Signals between heartbeats, by way and outcome", ["way", "outcome"])
STOPS = Counter("lekiwi_teleop_stops", "Requests to stop a session, by what became of them here", ["outcome"])
