"""Is a robot online? From when it was last heard, how often it speaks, and how much grace it has."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import isnan

#: one missed heartbeat is a lost packet; after the second the robot is late
LATE_AFTER_INTERVALS = 2
LATE_GRACE_SECONDS = 1.0
#: five missed in a row: it is gone
OFFLINE_AFTER_INTERVALS = 5
OFFLINE_GRACE_SECONDS = 2.0
#: nothing is expected less often than every ten years
LONGEST_SECONDS = 10 * 366 * 86_400.0


class Liveness(StrEnum):
    """How a robot's silence is read."""

    ONLINE = "online"
    LATE = "late"
    OFFLINE = "offline"
    #: enrolled, and never heard
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The silence after which a robot is late and after which it is offline, seconds."""

    late_after_seconds: float
    offline_after_seconds: float

    def after_seconds(self, state: Liveness) -> float:
        """The silence that makes a robot late or offline."""
        return self.late_after_seconds if state is Liveness.LATE else self.offline_after_seconds


def thresholds(interval_seconds: float, grace_seconds: float | None = None) -> Thresholds:
    """The thresholds of a robot that speaks every `interval_seconds`.

    A grace that an operator set is what a heartbeat may be overdue before the robot is late, and twice that before it
    is offline. Without one, two missed heartbeats make it late and five make it offline.
    """
    interval_seconds = _usable(interval_seconds)
    if grace_seconds is None:
        return Thresholds(late_after_seconds(interval_seconds), offline_after_seconds(interval_seconds))
    grace_seconds = _usable(grace_seconds)
    return Thresholds(interval_seconds + grace_seconds, interval_seconds + 2 * grace_seconds)


def _usable(seconds: float) -> float:
    """A number that a time can be computed with: one odd robot must not stop the watch over all others."""
    return min(max(seconds, 0.0), LONGEST_SECONDS) if not isnan(seconds) else LONGEST_SECONDS


def late_after_seconds(interval_seconds: float) -> float:
    """The silence after which a robot without a grace of its own is late."""
    return interval_seconds * LATE_AFTER_INTERVALS + LATE_GRACE_SECONDS


def offline_after_seconds(interval_seconds: float) -> float:
    """The silence after which a robot without a grace of its own is offline."""
    return interval_seconds * OFFLINE_AFTER_INTERVALS + OFFLINE_GRACE_SECONDS


def liveness(
    last_seen_at: datetime | None, interval_seconds: float, now: datetime, grace_seconds: float | None = None
) -> Liveness:
    """Judge a robot that speaks every `interval_seconds` and was last heard at `last_seen_at`, or not yet.

    A heartbeat that comes exactly at the threshold is in time.
    """
    if last_seen_at is None:
        return Liveness.NEVER
    return silence(now - last_seen_at, thresholds(interval_seconds, grace_seconds))


def silence(lasted: timedelta, limits: Thresholds) -> Liveness:
    """What a silence of this length makes of a robot."""
    if lasted > timedelta(seconds=limits.offline_after_seconds):
        return Liveness.OFFLINE
    if lasted > timedelta(seconds=limits.late_after_seconds):
        return Liveness.LATE
    return Liveness.ONLINE
