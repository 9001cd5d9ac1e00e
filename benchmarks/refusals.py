"""What robots saw fail, by the fault that came last before it, from their ledger."""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.ledger import STOPPED


@dataclass(frozen=True, slots=True)
class Failure:
    """One call that failed: when it left and when its robot knew (Unix times), and what the robot got."""

    sent: float
    ended: float
    call: str
    outcome: str


@dataclass(slots=True)
class Seen:
    """What robots saw fail since something began (a Unix time), until the next thing began."""

    what: str
    began: float
    failures: list[Failure] = field(default_factory=list)

    @property
    def words(self) -> str:
        """How many of what, and in which seconds since it began they ended."""
        if not self.failures:
            return ""
        counted = Counter(f"{one.call} {one.outcome}" for one in self.failures)
        since = self.began or self.failures[0].ended
        ended = [one.ended - since for one in self.failures]
        waited = [one.ended - one.sent for one in self.failures]
        told = ", ".join(f"{count} × {name}" for name, count in counted.most_common())
        return (
            f"{told}; {min(ended):.2f} to {max(ended):.2f} s in, after waiting {min(waited):.2f} to {max(waited):.2f} s"
        )


def failures_in(lines: Iterable[bytes]) -> Iterator[Failure]:
    """Those of a ledger's whole lines."""
    for line in lines:
        if not line.endswith(b"\n"):
            return
        match json.loads(line):
            case ["request", _, float(wall), _, str(call), outcome, _, _, latency] if _failed(outcome):
                yield Failure(wall, wall + latency / 1000, call, str(outcome))


def attribute(ledger: Path, begun: Sequence[tuple[str, float]]) -> list[Seen]:
    """What failed after each of `begun` (what, Unix time; ascending). What failed before the first is under ""."""
    seen = [Seen("", 0.0), *(Seen(what, at) for what, at in begun)]
    begins = [one.began for one in seen]
    with ledger.open("rb") as lines:
        for failure in failures_in(lines):
            seen[bisect_right(begins, failure.ended) - 1].failures.append(failure)
    return seen


def _failed(outcome: Any) -> bool:
    is_well = isinstance(outcome, int) and 200 <= outcome < 300
    return not is_well and outcome != STOPPED
