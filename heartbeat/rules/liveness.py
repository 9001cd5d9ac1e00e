"""Is a robot online? From when it was last heard and how often it speaks."""

from datetime import datetime
from enum import StrEnum

#: one missed heartbeat is a lost packet; after the second the robot is late
LATE_AFTER_INTERVALS = 2
LATE_GRACE_SECONDS = 1.0
#: five missed in a row: it is gone
OFFLINE_AFTER_INTERVALS = 5
OFFLINE_GRACE_SECONDS = 2.0


class Liveness(StrEnum):
    """How a robot's silence is read."""

    ONLINE = "online"
    LATE = "late"
    OFFLINE = "offline"
    #: enrolled, and never heard
    NEVER = "never"


def late_after_seconds(interval_seconds: float) -> float:
    """The silence after which a robot is late."""
    return interval_seconds * LATE_AFTER_INTERVALS + LATE_GRACE_SECONDS


def offline_after_seconds(interval_seconds: float) -> float:
    """The silence after which a robot is offline."""
    return interval_seconds * OFFLINE_AFTER_INTERVALS + OFFLINE_GRACE_SECONDS


def liveness(last_seen_at: datetime | None, interval_seconds: float, now: datetime) -> Liveness:
    """Judge a robot that speaks every `interval_seconds` and was last heard at `last_seen_at`, or not yet."""
    if last_seen_at is None:
        return Liveness.NEVER
    silent_seconds = (now - last_seen_at).total_seconds()
    if silent_seconds > offline_after_seconds(interval_seconds):
        return Liveness.OFFLINE
    if silent_seconds > late_after_seconds(interval_seconds):
        return Liveness.LATE
    return Liveness.ONLINE
