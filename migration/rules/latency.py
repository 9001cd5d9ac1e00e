"""How long requests took, as a proxy counts it: cumulative counts by upper edge."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SLOW_MILLISECONDS = 100.0
INFINITY = float("inf")


@dataclass(frozen=True, slots=True)
class Latency:
    """Cumulative counts by upper edge in milliseconds, infinity included."""

    buckets: Mapping[float, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many requests were timed."""
        return self.buckets.get(INFINITY, 0)

    def quantile_milliseconds(self, share: float) -> float | None:
        """The time below which `share` (0 – 1) of the requests stayed, interpolated; None without any."""
        if not self.count:
            return None
        wanted, low, below = share * self.count, 0.0, 0
        for edge, count in sorted(self.buckets.items()):
            if count >= wanted and count > below:
                return low if edge == INFINITY else low + (edge - low) * (wanted - below) / (count - below)
            low, below = (edge, count) if edge != INFINITY else (low, below)
        return low

    def slow_share(self, limit_milliseconds: float = SLOW_MILLISECONDS) -> float | None:
        """The share that took longer than an edge of a bucket; None without any. Raises KeyError for another limit."""
        return (self.count - self.buckets[limit_milliseconds]) / self.count if self.count else None
