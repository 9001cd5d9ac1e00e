"""Counters of who gets in."""

from prometheus_client import Counter, Gauge

REFUSED = Counter("lekiwi_heartbeat_access_refused", "Calls refused for who made them", ["path", "reason"])
UNCREDENTIALED = Counter(
    "lekiwi_heartbeat_uncredentialed_calls", "Legacy calls taken without a token, on the word of the robots' door"
)
ENROLMENTS = Counter("lekiwi_heartbeat_enrolments", "Robots that asked to be enrolled", ["outcome"])
LIVE_TOKENS = Gauge("lekiwi_heartbeat_access_tokens", "Robots' tokens that ingest holds in memory")
CLOSURES = Gauge("lekiwi_heartbeat_access_closures", "Cohorts whose legacy path is closed")
LOADS = Counter("lekiwi_heartbeat_access_loads", "Times that ingest read all tokens", ["because"])
CHECKED_AT = Gauge(
    "lekiwi_heartbeat_access_checked_timestamp_seconds", "When what ingest holds was last compared with the database"
)
