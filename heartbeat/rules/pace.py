"""How fast one caller may call: a token bucket, kept as one number (the generic cell rate algorithm).

The number is the time at which the bucket would be full again. It is all there is to keep per caller, and a time that
has passed may be forgotten.
"""

from typing import NamedTuple


class Pace(NamedTuple):
    """Calls per second in the long run, and how many may come at once after a rest."""

    per_second: float
    burst: int

    @property
    def step_seconds(self) -> float:
        """How long one call takes to be forgotten."""
        return 1 / self.per_second

    @property
    def slack_seconds(self) -> float:
        """How far ahead of now the bucket's time may lie."""
        return self.burst / self.per_second


def take(full_at: float, now: float, pace: Pace) -> tuple[float, float]:
    """One call at `now` (seconds) on a bucket that is full at `full_at`.

    Returns when it is full again and how many seconds the caller has to wait: 0 when the call may be made; else the
    bucket is as it was.
    """
    full_then = max(full_at, now) + pace.step_seconds
    wait = full_then - now - pace.slack_seconds
    return (full_then, 0.0) if wait <= 1e-9 else (full_at, wait)
