"""What each system did for robots of each cohort that it owned: from two samples of the doors' statistics.

Only robots' own calls: a mirror copy is never among them. A call counts against its owner when the owner was asked and
somebody else had to answer, or nobody did; that is what failover hides from the robot.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from migration.rules.cohort_table import OTHER, UNKNOWN, names_in
from migration.rules.latency import INFINITY, Latency
from migration.rules.sequential import Evidence, Verdict, judge

#: below this share of errors a cohort is well: the watchdog's own limit
ERROR_LIMIT = 0.01
#: fewer timed requests have no 99th percentile
FEWEST_TIMED = 100
#: what names a cohort as the one where the errors are
_FEWEST_ERRORS, _SHARE_OF_ERRORS, _TIMES_THE_REST = 5, 0.9, 5.0


class Outcome(StrEnum):
    """What became of a call, for its owner."""

    SERVED = "served"
    FAILED = "failed"
    #: it was out of rotation, and not asked
    PASSED_OVER = "passed_over"
    #: the robot did not wait for the answer
    LEFT = "left"


def outcome(owner: str, answered: str, attempts: int, code: str) -> Outcome:
    """What became of a robot's call: who answered at last, after how many attempts, with which status."""
    if not code.isdecimal() or int(code) == 0:
        return Outcome.LEFT
    if answered and answered != owner and attempts <= 1:
        return Outcome.PASSED_OVER
    if int(code) >= 500 or answered not in ("", owner):
        return Outcome.FAILED
    return Outcome.SERVED if answered else Outcome.LEFT


@dataclass(frozen=True, slots=True)
class CohortServed:
    """One system and one cohort. `buckets`: cumulative counts by upper edge in milliseconds, "inf" included."""

    system: str
    kind: str
    site: str
    requests: int = 0
    errors: int = 0
    passed_over: int = 0
    buckets: Mapping[str, int] = field(default_factory=dict)

    @property
    def cohort(self) -> str:
        """As screens name it."""
        if self.kind == UNKNOWN:
            return "not known yet"
        parts = (("kind", self.kind), ("site", self.site))
        return " at ".join(f"{what} {'(others)' if name == OTHER else name}" for what, name in parts if name)

    @property
    def verdict(self) -> Verdict:
        """Whether its errors stay below the watchdog's limit; too few requests say neither."""
        return judge(Evidence(self.requests, self.errors), ERROR_LIMIT, "errors").verdict

    @property
    def error_share(self) -> float | None:
        """Failed by asked, 0 – 1; None where nothing was asked, and where no error among too few says nothing."""
        if not self.requests or (not self.errors and self.verdict is Verdict.INCONCLUSIVE):
            return None
        return self.errors / self.requests

    @property
    def error_percent(self) -> float | None:
        """The same in percent."""
        return None if self.error_share is None else 100 * self.error_share

    @property
    def is_known(self) -> bool:
        """Whether there were requests enough to say whether it is well."""
        return self.verdict is not Verdict.INCONCLUSIVE

    @property
    def timed(self) -> int:
        """How many of its own answers have a time."""
        return self.buckets.get("inf", 0)

    @property
    def p99_milliseconds(self) -> float | None:
        """Of its own answers, interpolated; None for fewer than a 99th percentile needs."""
        if self.timed < FEWEST_TIMED:
            return None
        return Latency({float(edge): count for edge, count in self.buckets.items()}).quantile_milliseconds(0.99)

    def as_evidence(self) -> dict[str, Any]:
        """As a record keeps it."""
        kept = {"system": self.system, "cohort": self.cohort, "requests": self.requests, "errors": self.errors}
        return {**kept, "passed_over": self.passed_over, "p99_milliseconds": self.p99_milliseconds}


def totals_of(
    calls: Mapping[tuple[str, str, str, str, str], int], times: Mapping[tuple[str, str, float], int]
) -> dict[str, Any]:
    """Totals by system and tag, for JSON. `calls` by (owner, tag, answered, attempts, code); `times` by (owner, tag,
    edge), of what the owner answered itself.
    """
    totals: dict[str, Any] = {}

    def of(owner: str, tag: str) -> dict[str, Any]:
        empty = {"requests": 0, "errors": 0, "passed_over": 0, "buckets": {}}
        return totals.setdefault(owner, {}).setdefault(tag, empty)  # type: ignore[no-any-return]

    for (owner, tag, answered, attempts, code), count in calls.items():
        became = outcome(owner, answered, int(attempts) if attempts.isdecimal() else 0, code)
        row = of(owner, tag)
        row["requests"] += count * (became in (Outcome.SERVED, Outcome.FAILED))
        row["errors"] += count * (became is Outcome.FAILED)
        row["passed_over"] += count * (became is Outcome.PASSED_OVER)
    for (owner, tag, edge), count in times.items():
        of(owner, tag)["buckets"]["inf" if edge == INFINITY else f"{edge:g}"] = count
    return totals


def between(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> tuple[CohortServed, ...]:
    """What happened between two totals, by system, kind and site; only where something did."""
    found = []
    for system, rows in sorted(later.items()):
        for tag, row in sorted(rows.items()):
            old = earlier.get(system, {}).get(tag, {})
            requests, errors, passed_over = (
                row[name] - old.get(name, 0) for name in ("requests", "errors", "passed_over")
            )
            before = old.get("buckets", {})
            buckets = {edge: count - before.get(edge, 0) for edge, count in row["buckets"].items()}
            if requests or passed_over:
                kind, site = names_in(tag)
                found.append(CohortServed(system, kind, site, requests, errors, passed_over, buckets))
    return tuple(found)


def by_kind_and_site(served: Iterable[CohortServed]) -> list[CohortServed]:
    """The same for each kind and for each site: a robot is in one of either."""
    served = list(served)
    kinds: dict[tuple[str, str], CohortServed] = {}
    sites: dict[tuple[str, str], CohortServed] = {}
    for each in served:
        place = (each.system, each.kind)
        kinds[place] = _plus(kinds.get(place, CohortServed(each.system, each.kind, "")), each)
        if each.site:
            place = (each.system, each.site)
            sites[place] = _plus(sites.get(place, CohortServed(each.system, "", each.site)), each)
    return [*kinds.values(), *sites.values()]


def where(served: Iterable[CohortServed], system: str = "new") -> str:
    """The sentence that names the cohort in which a system's errors are; empty if no single one explains them."""
    mine = [each for each in served if each.system == system]
    requests, errors = sum(each.requests for each in mine), sum(each.errors for each in mine)
    held = [each for each in (*by_kind_and_site(mine), *mine) if _explains(each, requests, errors)]
    if not held:
        return ""
    worst = max(held, key=lambda each: each.errors / each.requests)
    rest = f"{errors - worst.errors:,} of {requests - worst.requests:,} of the others"
    return f"of calls that it owned it failed {worst.errors:,} of {worst.requests:,} of {worst.cohort}, {rest}"


def _explains(each: CohortServed, requests: int, errors: int) -> bool:
    others, their_errors = requests - each.requests, errors - each.errors
    if errors < _FEWEST_ERRORS or each.errors < _SHARE_OF_ERRORS * errors or others < each.requests / _TIMES_THE_REST:
        return False
    return each.errors / each.requests >= _TIMES_THE_REST * their_errors / others


def _plus(one: CohortServed, other: CohortServed) -> CohortServed:
    edges: Sequence[str] = list({**one.buckets, **other.buckets})
    return CohortServed(
        one.system,
        one.kind,
        one.site,
        one.requests + other.requests,
        one.errors + other.errors,
        one.passed_over + other.passed_over,
        {edge: one.buckets.get(edge, 0) + other.buckets.get(edge, 0) for edge in edges},
    )
