"""Robots that come and go: each fall counts, and counts less as time passes."""

import math
from datetime import datetime, timedelta

HALF_LIFE_SECONDS = 600.0
#: three falls within a few minutes
STARTS_AT = 2.5
#: then it has to be steady until the falls count for one
ENDS_AT = 1.0


def after_fall(score: float, scored_at: datetime | None, at: datetime) -> float:
    """The score once the robot has fallen silent at `at`."""
    return decayed(score, scored_at, at) + 1.0


def decayed(score: float, scored_at: datetime | None, at: datetime) -> float:
    """The score at `at`: half as much after every ten minutes."""
    if scored_at is None or score <= 0:
        return 0.0
    elapsed = max(0.0, (at - scored_at).total_seconds())
    return float(score * math.pow(0.5, elapsed / HALF_LIFE_SECONDS))


def steady_at(score: float, scored_at: datetime) -> datetime:
    """When a robot that does not fall again is no longer flapping."""
    if score <= ENDS_AT:
        return scored_at
    return scored_at + timedelta(seconds=HALF_LIFE_SECONDS * math.log2(score / ENDS_AT))
