"""Totals of what each system answered, as owner and as shadow, and windows between two of them.

Totals are cumulative and survive restarts of a proxy and of the watchdog, so the difference of two samples is
what happened between them (`migration.models.TrafficSample`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import FloatField, Func, Min
from django.db.models.functions import Extract

from migration.models import TrafficSample
from migration.rules import cohort_errors
from migration.rules.cohort_errors import CohortServed
from migration.rules.gates import SLOW_MILLISECONDS
from migration.rules.latency import Latency
from migration.rules.sequential import Evidence
from migration.rules.watching import Window

Totals = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Served:
    """What one system did in one role: requests, how many failed, and how long they took."""

    requests: int = 0
    errors: int = 0
    #: cumulative counts by upper edge in milliseconds ("inf" last), as the proxies keep them
    buckets: Mapping[str, int] = field(default_factory=dict)

    @property
    def timed(self) -> int:
        """How many requests have a time."""
        return self.buckets.get("inf", 0)

    @property
    def slow(self) -> int:
        """How many took longer than the gate's limit."""
        return self.timed - self.buckets.get(f"{SLOW_MILLISECONDS:g}", self.timed)

    @property
    def errors_seen(self) -> Evidence:
        """Evidence for the error rate."""
        return Evidence(self.requests, min(self.errors, self.requests))

    @property
    def slow_seen(self) -> Evidence:
        """Evidence for latency."""
        return Evidence(self.timed, self.slow)

    def __add__(self, other: "Served") -> "Served":
        edges = {**self.buckets, **other.buckets}
        added = {edge: self.buckets.get(edge, 0) + other.buckets.get(edge, 0) for edge in edges}
        return Served(self.requests + other.requests, self.errors + other.errors, added)

    def p99_milliseconds(self) -> float | None:
        """The 99th percentile, interpolated inside its bucket; None without a timed request."""
        return Latency({float(edge): count for edge, count in self.buckets.items()}).quantile_milliseconds(0.99)


@dataclass(frozen=True, slots=True)
class Flow:
    """What happened between two samples."""

    seconds: float
    parts: Mapping[str, Served]
    counts: Mapping[str, int]
    #: what each system did for each cohort of robots that it owned
    cohorts: tuple[CohortServed, ...] = ()

    def served(self, system: str) -> Served:
        """Both roles of one system."""
        return self.parts[f"{system}.owner"] + self.parts[f"{system}.shadow"]

    def window(self, system: str) -> Window:
        """As the watchdog's rules see it."""
        both = self.served(system)
        return Window(both.requests, both.errors, both.p99_milliseconds())

    def owned(self, system: str) -> int:
        """Requests of robots that this system owned."""
        return self.counts[f"owned.{system}"]

    @property
    def new_percent(self) -> float | None:
        """Which share of live robot calls `new` owned, percent; None without traffic."""
        total = self.owned("new") + self.owned("legacy")
        return 100 * self.owned("new") / total if total else None


PARTS = ("new.owner", "new.shadow", "legacy.owner", "legacy.shadow")
COUNTS = (
    "robots.calls",
    "robots.failed",
    "owned.new",
    "owned.legacy",
    "failovers",
    "mirror.to_new.primaries",
    "mirror.to_new.copies",
    "mirror.to_legacy.primaries",
    "mirror.to_legacy.copies",
)


def nothing() -> dict[str, Any]:
    """Totals before anything was counted."""
    parts = {part: {"requests": 0, "errors": 0, "buckets": {}} for part in PARTS}
    return {**parts, **dict.fromkeys(COUNTS, 0), "cohorts": {}}


def change(before: Mapping[str, Totals] | None, after: Mapping[str, Totals]) -> dict[str, Any]:
    """Sum over the proxies what their counters grew by. A counter that fell belongs to a proxy that was restarted.

    Without `before` nothing is known of the proxy's past, so nothing is counted.
    """
    return _sum([_growth(before[proxy], now) for proxy, now in after.items() if before and proxy in before])


def advance(totals: Totals, before: Mapping[str, Totals] | None, after: Mapping[str, Totals]) -> dict[str, Any]:
    """Carry totals on by what the proxies' counters grew by."""
    return _sum([totals, change(before, after)])


def _growth(before: Any, after: Any) -> Any:
    if isinstance(after, Mapping):
        return {name: _growth((before or {}).get(name), value) for name, value in after.items()}
    return after - before if before is not None and after >= before else after


def _sum(many: list[Any]) -> dict[str, Any]:
    total: dict[str, Any] = nothing()
    for one in many:
        for name, value in one.items():
            if isinstance(value, Mapping):
                total[name] = _added(total[name], value)
            else:
                total[name] += value
    return total


def _added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    added: dict[str, Any] = dict(one)
    for name, value in other.items():
        added[name] = _added(one.get(name, {}), value) if isinstance(value, Mapping) else one.get(name, 0) + value
    return added


def between(earlier: Totals, later: Totals, seconds: float) -> Flow:
    """What happened between two totals."""
    parts = {}
    for part in PARTS:
        before, after = earlier.get(part) or {}, later[part]
        old = before.get("buckets", {})
        parts[part] = Served(
            after["requests"] - before.get("requests", 0),
            after["errors"] - before.get("errors", 0),
            {edge: count - old.get(edge, 0) for edge, count in after["buckets"].items()},
        )
    cohorts = cohort_errors.between(earlier.get("cohorts", {}), later.get("cohorts", {}))
    return Flow(seconds, parts, {name: later.get(name, 0) - earlier.get(name, 0) for name in COUNTS}, cohorts)


def since(moment: datetime) -> Flow | None:
    """What happened since `moment`, from the first sample that was taken then or later; None without another one.

    The sample before it would bring up to a second of what was asked to be left out: the last slow answers of what
    was mended are no evidence about what runs since.
    """
    samples = TrafficSample.objects.filter(at__gte=moment)
    return _flow(samples.order_by("at").first(), samples.order_by("-at").first())


def _flow(first: TrafficSample | None, latest: TrafficSample | None) -> Flow | None:
    if first is None or latest is None or first.pk == latest.pk:
        return None
    return between(first.totals, latest.totals, (latest.at - first.at).total_seconds())


def after(moment: datetime, now: datetime, width: timedelta) -> Flow | None:
    """What happened in the latest `width`, but only from samples at or after `moment`; None without two of them."""
    return since(max(moment, now - width))


def latest_window(now: datetime, width: timedelta) -> Flow | None:
    """What happened in the latest `width`; None if the latest sample itself is older than that."""
    latest = TrafficSample.objects.order_by("-at").first()
    if latest is None or now - latest.at > width:
        return None
    begin = latest.at - width
    before = TrafficSample.objects.filter(at__lte=begin).order_by("-at").first()
    return _flow(before, latest) if before else since(begin)


def series(now: datetime, *, width: timedelta, points: int) -> list[dict[str, Any]]:
    """Error rate (percent) and p99 (ms) of both systems over `width`, at most `points` intervals, gaps as None."""
    step_seconds = (width / points).total_seconds()
    # The first sample of each step: the rest would only be carried over to be thrown away.
    slot = Func(Extract("at", "epoch") / step_seconds, function="FLOOR", output_field=FloatField())
    recent = TrafficSample.objects.filter(at__gte=now - width).order_by()
    firsts = recent.annotate(slot=slot).values("slot").annotate(first=Min("id")).values("first")
    kept: list[tuple[datetime, Totals]] = list(
        TrafficSample.objects.filter(pk__in=firsts).order_by("at").values_list("at", "totals")
    )
    drawn = []
    for (before, earlier), (at, later) in pairwise(kept):
        flow = between(earlier, later, (at - before).total_seconds())
        point: dict[str, Any] = {"at": at.isoformat()}
        for system in ("new", "legacy"):
            window = flow.window(system)
            point[f"{system}_error_percent"] = 100 * window.error_share if window.requests else None
            point[f"{system}_p99_ms"] = window.p99_milliseconds
        drawn.append(point)
    return drawn
