"""What a proxy counted, told so that no failure hides behind a failover.

The easy counter, `upstream_rq_xx` of the cluster, holds what the *robot* got: with failover on it stays clean while
`new` answers 500 to everything. Here each system is judged by the attempts that reached its own endpoint.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from migration.rules import cohort_errors
from migration.rules.cohort_table import UNKNOWN
from migration.rules.latency import Latency
from migration.rules.split import Side

#: one scrape of everything that `read` needs
PATH = (
    "/stats/prometheus?usedonly&filter="
    r"(\.endpoint\.|endpoint_|^robots\.|_shadow\.upstream_rq_(time|pending_overflow)|server\.uptime)"
)

_LINE = re.compile(r"^(?!envoy_robots_cohort)(\w+)(?:\{(.*)\})? ([-+.eE0-9]+|NaN)$", re.MULTILINE)
#: there may be two thousand lines of these, so they are read in one go; the labels stand as in the bootstrap
_COHORT_CALLS = re.compile(
    r'^envoy_robots_cohort\{owner="(\w+)",cohort="([^"]*)",answered="(\w*)",attempts="(\w*)",code="(\w*)"\} (\d+)$',
    re.MULTILINE,
)
_COHORT_TIMES = re.compile(
    r'^envoy_robots_cohort_ms_bucket\{owner="(\w+)",cohort="([^"]*)",answered="\1",le="([^"]+)"\} (\d+)$', re.MULTILINE
)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
#: in which clusters a system answers as the owner, for the other one, and as the hearer of copies
_OWNER = {Side.NEW: ("new_first",), Side.LEGACY: ("legacy_first", "legacy_only")}
_FAILOVER = {Side.NEW: "legacy_first", Side.LEGACY: "new_first"}
_SHADOW = {Side.NEW: "new_shadow", Side.LEGACY: "legacy_shadow"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempts:
    """What was asked of a system in one role. A 4xx is an answer, no failure."""

    success: int = 0
    #: 5xx, time-outs, connections that failed or broke
    errors: int = 0
    #: those of `errors` that were not answered in time
    timeouts: int = 0
    #: copies that were never sent because too many were waiting for the system: its failure, no missing data
    dropped: int = 0

    @property
    def failures(self) -> int:
        """Everything that it owes an answer to."""
        return self.errors + self.dropped

    @property
    def requests(self) -> int:
        """Everything that was asked of it."""
        return self.success + self.failures

    @property
    def error_share(self) -> float | None:
        """Failures per request, 0 – 1; None if nothing was asked."""
        return self.failures / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class SystemCounters:
    """One system in its three roles."""

    owner: Attempts = Attempts()
    failover: Attempts = Attempts()
    shadow: Attempts = Attempts()
    owner_latency: Latency = field(default_factory=Latency)
    shadow_latency: Latency = field(default_factory=Latency)


@dataclass(frozen=True, slots=True)
class Counters:
    """What one proxy counted since it was started, but for the two gauges."""

    new: SystemCounters = SystemCounters()
    legacy: SystemCounters = SystemCounters()
    #: robots' calls by (owner, who answered, status code); "" where nobody answered
    calls: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    #: robots' calls of which the system was to hear a copy
    mirrored_to: Mapping[str, int] = field(default_factory=dict)
    #: robots' calls by (owner, cohort's tag, who answered, attempts, status code)
    cohort_calls: Mapping[tuple[str, str, str, str, str], int] = field(default_factory=dict)
    #: of what owners answered themselves: cumulative counts by (owner, cohort's tag, upper edge in milliseconds)
    cohort_times: Mapping[tuple[str, str, float], int] = field(default_factory=dict)
    #: in how many of its clusters each system is out of rotation now (ejected, or failing its health checks)
    ejected: Mapping[str, int] = field(default_factory=dict)
    uptime_seconds: int = 0

    def system(self, side: Side) -> SystemCounters:
        """The counters of one system."""
        return self.new if side is Side.NEW else self.legacy

    @property
    def failovers(self) -> int:
        """Calls that the other system answered because the owner could not."""
        return self.new.failover.success + self.legacy.failover.success

    def owned_by(self, side: Side) -> int:
        """Robots' calls whose owner this system is."""
        return sum(count for (owner, _, _), count in self.calls.items() if owner == side)

    def as_totals(self) -> dict[str, Any]:
        """As plain numbers and strings, for JSON: parts by "system.role", then counts by name."""
        totals: dict[str, Any] = {}
        for side in Side:
            system = self.system(side)
            parts = {"owner": (system.owner, system.owner_latency), "shadow": (system.shadow, system.shadow_latency)}
            for role, (attempts, latency) in parts.items():
                edges = {f"{edge:g}": count for edge, count in latency.buckets.items()}
                part = {"requests": attempts.requests, "errors": attempts.failures, "buckets": edges}
                totals[f"{side}.{role}"] = part
            totals[f"owned.{side}"] = self.owned_by(side)
            totals[f"mirror.to_{side}.primaries"] = self.mirrored_to.get(side, 0)
            totals[f"mirror.to_{side}.copies"] = system.shadow.success
        failed = sum(count for (_, _, code), count in self.calls.items() if not code or code.startswith("5"))
        robots = {"robots.calls": sum(self.calls.values()), "robots.failed": failed}
        cohorts = cohort_errors.totals_of(self.cohort_calls, self.cohort_times)
        return {**totals, **robots, "failovers": self.failovers, "cohorts": cohorts}


def read(text: str) -> Counters:
    """Read what `PATH` answered."""
    samples = list(_samples(text))
    systems = {side: _system(side, samples) for side in Side}
    calls: dict[tuple[str, str, str], int] = {}
    mirrored = {str(side): 0 for side in Side}
    ejected = {str(side): 0 for side in Side}
    uptime = 0
    for name, labels, value in samples:
        if name == "envoy_robots_rq" and labels.get("owner"):
            key = (labels["owner"], labels.get("answered", ""), labels.get("code", ""))
            calls[key] = calls.get(key, 0) + int(value)
            if labels.get("mirrored") in mirrored:
                mirrored[labels["mirrored"]] += int(value)
        elif name == "envoy_cluster_endpoint_healthy" and labels["envoy_cluster_name"].endswith("_first"):
            side = labels.get("envoy_endpoint_hostname", "")
            if side in ejected and labels["envoy_cluster_name"] in ("new_first", "legacy_first"):
                ejected[side] += int(value == 0)
        elif name == "envoy_server_uptime":
            uptime = int(value)
    return Counters(
        systems[Side.NEW],
        systems[Side.LEGACY],
        calls,
        mirrored,
        {(owner, tag or UNKNOWN, *how): int(count) for owner, tag, *how, count in _COHORT_CALLS.findall(text)},
        {(owner, tag or UNKNOWN, float(le)): int(count) for owner, tag, le, count in _COHORT_TIMES.findall(text)},
        ejected,
        uptime,
    )


def difference(now: Counters, before: Counters) -> Counters:
    """Return what was counted since `before`. A proxy that was restarted has counted all of `now` since."""
    if now.uptime_seconds < before.uptime_seconds or _fell(now, before):
        return now
    grown = _grown(now, before)
    return replace(grown, ejected=now.ejected, uptime_seconds=now.uptime_seconds)


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for name, labels, value in _LINE.findall(text):
        yield name, dict(_LABEL.findall(labels)), float(value)


def _system(side: Side, samples: list[tuple[str, dict[str, str], float]]) -> SystemCounters:
    counted: dict[tuple[str, str], int] = {}
    dropped = 0
    owner_times: dict[float, int] = {}
    shadow_times: dict[float, int] = {}
    for name, labels, value in samples:
        cluster = labels.get("envoy_cluster_name", "")
        if name.startswith("envoy_cluster_endpoint_rq_") and labels.get("envoy_endpoint_hostname") == side:
            counted[cluster, name.removeprefix("envoy_cluster_endpoint_rq_")] = int(value)
        elif cluster == _SHADOW[side] and name == "envoy_cluster_upstream_rq_pending_overflow":
            dropped = int(value)
        elif cluster == _SHADOW[side] and name == "envoy_cluster_upstream_rq_time_bucket":
            shadow_times[float(labels["le"])] = int(value)
        elif name == "envoy_robots_ms_bucket" and labels.get("owner") == labels.get("answered") == side:
            owner_times[float(labels["le"])] = int(value)

    def attempts(*clusters: str, dropped: int = 0) -> Attempts:
        success, errors, timeouts = (
            sum(counted.get((each, kind), 0) for each in clusters) for kind in ("success", "error", "timeout")
        )
        return Attempts(success, errors, timeouts, dropped)

    return SystemCounters(
        owner=attempts(*_OWNER[side]),
        failover=attempts(_FAILOVER[side]),
        shadow=attempts(_SHADOW[side], dropped=dropped),
        owner_latency=Latency(owner_times),
        shadow_latency=Latency(shadow_times),
    )


def _fell(now: Any, before: Any) -> bool:
    return any(new < old for new, old in _pairs(now, before))


def _pairs(now: Any, before: Any) -> Iterator[tuple[int, int]]:
    """The counters of both, side by side; gauges left out."""
    if isinstance(now, Mapping):
        for key in {**now, **before}:
            yield from _pairs(now.get(key, 0), before.get(key, 0))
    elif is_dataclass(now):
        for each in fields(now):
            if each.name not in ("ejected", "uptime_seconds"):
                yield from _pairs(getattr(now, each.name), getattr(before, each.name))
    else:
        yield now, before


def _grown(now: T, before: T) -> T:
    if isinstance(now, Mapping) and isinstance(before, Mapping):
        return {key: value - before.get(key, 0) for key, value in now.items()}  # type: ignore[return-value]
    if is_dataclass(now) and not isinstance(now, type):
        parts = {each.name: _grown(getattr(now, each.name), getattr(before, each.name)) for each in fields(now)}
        return type(now)(**parts)
    return now - before  # type: ignore[operator,no-any-return]
