"""Noticing that few requests fail, but more than may: a CUSUM over good and bad requests (Page 1954).

A window of seconds needs many requests to tell 2 % from none. This adds up what every request says for a sick system
and against it, so it takes as many requests as the fault is clear, however slowly they come.
"""

from dataclasses import dataclass
from math import log


@dataclass(frozen=True, slots=True)
class Detector:
    """Which shares of failing requests it tells apart, and how sure it must be.

    The level rises where more than about 1 % fail (between the two shares) and falls back to 0 below.
    Delay and false alarms by traffic and error rate are tabulated by `benchmarks.watchdog`.
    """

    healthy_share: float = 0.0025
    sick_share: float = 0.025
    #: a level from here on is believed; e^-threshold bounds how often a healthy run from 0 gets there
    threshold: float = 9.0
    #: what one look may add: a single burst is one event, however many requests it hit
    most_in_one_look: float = 4.5

    @property
    def per_error(self) -> float:
        """What one failure adds."""
        return log(self.sick_share / self.healthy_share)

    @property
    def per_success(self) -> float:
        """What one answer takes away."""
        return log((1 - self.healthy_share) / (1 - self.sick_share))


@dataclass(frozen=True, slots=True)
class Suspicion:
    """How much speaks for a sick system, and the requests it stands on since it was last 0."""

    level: float = 0.0
    requests: int = 0
    errors: int = 0
    looks: int = 0

    def after(self, requests: int, errors: int, detector: Detector) -> "Suspicion":
        """What is thought after one more look at `requests`, of which `errors` failed."""
        added = errors * detector.per_error - (requests - errors) * detector.per_success
        level = max(0.0, self.level + min(added, detector.most_in_one_look))
        if level == 0.0:
            return Suspicion()
        # Not higher than twice the threshold, or it would be believed long after it is over.
        level = min(level, 2 * detector.threshold)
        return Suspicion(level, self.requests + requests, self.errors + errors, self.looks + 1)

    def is_believed(self, detector: Detector) -> bool:
        """Whether it is an alarm."""
        return self.level >= detector.threshold
