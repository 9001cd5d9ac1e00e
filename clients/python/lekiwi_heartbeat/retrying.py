"""When to try again: later each time, and never all robots at once."""

import random
from dataclasses import dataclass, field


@dataclass
class Retry:
    """One thing that may fail. `at` is when it may be tried again (monotonic seconds)."""

    chance: random.Random
    shortest_seconds: float
    longest_seconds: float
    at: float = field(default=float("-inf"))
    failures: int = 0

    def ready(self, now: float) -> bool:
        """May it be tried?"""
        return now >= self.at

    def failed(self, now: float, at_least_seconds: float = 0.0) -> None:
        """It failed now. What the server asked for (`Retry-After`) is the least, up to a quarter more is chance."""
        backoff = min(self.longest_seconds, self.shortest_seconds * 2.0 ** min(self.failures, 20))
        self.failures += 1
        self.at = now + max(backoff * self.chance.uniform(0.5, 1.0), at_least_seconds * self.chance.uniform(1.0, 1.25))

    def succeeded(self) -> None:
        """It works."""
        self.failures, self.at = 0, float("-inf")
