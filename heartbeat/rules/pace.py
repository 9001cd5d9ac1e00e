"""How fast one caller may call: a token bucket, kept as one number (the generic cell rate algorithm).

The number is the time at which the bucket would be full again. It is all there is to keep per caller, and a time that
has passed may be forgotten.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pace:
    """Calls per second in the long run, and how many may come at once after a rest."""

    per_second: float
    burst: int
    #: how long one call takes to be forgotten; computed once, because it is asked for with every call
    step_seconds: float = field(init=False)
    #: how far ahead of now the bucket's time may lie
    slack_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        if not (self.per_second > 0 and self.burst >= 1):
            raise ValueError(f"{self.per_second} calls per second, {self.burst} at once: nobody could ever call")
        object.__setattr__(self, "step_seconds", 1 / self.per_second)
        object.__setattr__(self, "slack_seconds", self.burst / self.per_second)


def take(full_at: float, now: float, pace: Pace) -> tuple[float, float]:
    """One call at `now` (seconds) on a bucket that is full at `full_at`.

    Returns when it is full again and how many seconds the caller has to wait: 0 when the call may be made; else the
    bucket is as it was.
    """
    full_then = (full_at if full_at > now else now) + pace.step_seconds
    wait = full_then - now - pace.slack_seconds
    return (full_then, 0.0) if wait <= 1e-9 else (full_at, wait)
