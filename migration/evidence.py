"""Gathering what the gates judge: from the samples, the robots, the comparisons and the guards' pulses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from django.conf import settings
from django.db import connection
from django.db.models import Count, Q

from heartbeat.models import Lease, Robot
from heartbeat.rules.liveness import offline_after_seconds
from migration import routing, traffic
from migration.alerts import pipeline
from migration.clock import system_clock
from migration.drivers.errors import RouteError
from migration.models import Comparison, PhaseRun, Pulse, TrafficSample
from migration.notifying.destinations import destinations
from migration.rules.gates import DEFAULTS, Compared, Guard, ServedByNew
from migration.rules.sequential import Evidence
from migration.rules.settings import PhaseSettings
from migration.rules.split import BUCKETS_PER_PERCENT, Side, key_of
from teleop.accuracy import accuracy

#: how old the latest progress of each guard may be, seconds; a second less than DESIGN.md's 5 (invariant 11), which a
#: screen needs to say it
GUARD_LIMITS: Mapping[str, float] = {
    "watchdog": 4.0,
    "route_agent": 4.0,
    "worker": 15.0,
    "watcher": 3.0,
    "teleop_watcher": 3.0,
    "sync": 4.0,
}
#: it sends in threads of its own, so it is late only when it is stuck; guards only where somebody is to be told
NOTIFIER_LIMIT_SECONDS = 5.0

#: the newest traffic tells about when there will be enough of it
RATE_WINDOW = timedelta(seconds=60)
#: so many timed answers tell a p99
LEGACY_TIMED = 300


def guards(now: datetime) -> list[Guard]:
    """Every guard with the age of its latest progress."""
    # The watcher proves its progress by its lease; a standby that took over counts as well.
    at = dict(Pulse.objects.values_list("name", "at")) | dict(Lease.objects.values_list("name", "renewed_at"))
    limits = dict(GUARD_LIMITS)
    if pipeline.is_required():
        limits[pipeline.PULSE] = pipeline.PROVEN_FOR_SECONDS
    if destinations():
        limits["notifier"] = NOTIFIER_LIMIT_SECONDS
    return [
        Guard(name, (now - at[name]).total_seconds() if name in at else None, limit) for name, limit in limits.items()
    ]


def served_by_new(
    run: PhaseRun, flow: traffic.Flow | None, now: datetime, limits: PhaseSettings = DEFAULTS
) -> ServedByNew:
    """What `new` answered in `flow` (since the run began), which robots moved, and how loaded its processes are."""
    robots = moved(run, now)
    slower, limit_ms = _slower_than_legacy(flow, limits.slower_than_legacy_ms)
    recent = traffic.latest_window(now, RATE_WINDOW)
    newest = TrafficSample.objects.order_by("-at").values_list("at", flat=True).first()
    load = Pulse.objects.filter(name="watchdog").values_list("detail", flat=True).first() or {}
    if flow is None:
        owner = shadow = traffic.Served()
    else:
        owner, shadow = flow.parts["new.owner"], flow.parts["new.shadow"]
    return ServedByNew(
        owner=owner.errors_seen,
        shadow=shadow.errors_seen,
        owner_slow=owner.slow_seen,
        shadow_slow=shadow.slow_seen,
        silent_after_moving=robots.silent,
        moved=robots.moved,
        heard=robots.heard,
        cpu_percent=load.get("cpu_percent"),
        memory_percent=load.get("memory_percent"),
        connections_percent=connections_percent(),
        requests_per_second=recent.served("new").requests / recent.seconds if recent else None,
        slower_than_legacy=slower,
        legacy_limit_ms=limit_ms,
        sampled_age_seconds=(now - newest).total_seconds() if newest else None,
    )


def _slower_than_legacy(flow: traffic.Flow | None, allowed_ms: float) -> tuple[Evidence | None, float | None]:
    """How many answers of `new` took longer than legacy's p99 and what is allowed beside it, and how long that is.

    The proxies count in buckets, so the limit is the next edge above.
    """
    legacy = flow.served("legacy") if flow else traffic.Served()
    p99 = legacy.p99_milliseconds()
    if flow is None or p99 is None or legacy.timed < LEGACY_TIMED:
        return None, None
    new = flow.served("new")
    edges = sorted(float(edge) for edge in new.buckets)
    limit = next((edge for edge in edges if edge >= p99 + allowed_ms), float("inf"))
    if limit == float("inf"):
        return Evidence(new.timed, 0), p99 + allowed_ms
    return Evidence(new.timed, new.timed - new.buckets[f"{limit:g}"]), limit


def compared(run: PhaseRun, flow: traffic.Flow | None) -> Compared:
    """The latest comparison of this run, and the mirror in `flow` (since the run began)."""
    latest = Comparison.objects.filter(at__gte=run.evidence_from, failure="").first()
    counts = flow.counts if flow else {}
    lags = supplied("lags")
    operation = accuracy(system_clock().now(), run.evidence_from)
    return Compared(
        rows=latest.rows if latest else 0,
        different=tuple(sorted({row["robot_id"] for row in latest.different})) if latest else (),
        compared_at=latest.at if latest else None,
        to_new_primaries=counts.get("mirror.to_new.primaries", 0),
        to_new_copies=counts.get("mirror.to_new.copies", 0),
        to_legacy_primaries=counts.get("mirror.to_legacy.primaries", 0),
        to_legacy_copies=counts.get("mirror.to_legacy.copies", 0),
        lag_forward_seconds=lags.forward_seconds if lags else None,
        lag_reverse_seconds=lags.reverse_seconds if lags else None,
        percent=run.percent,
        operation_judged=operation.judged,
        operation_agreeing=operation.agreeing,
        operation_different=tuple(one.robot_id for one in operation.different),
    )


class Lags(Protocol):
    """How far sync is behind, each way: age of the oldest change not carried over, seconds; None: not measured."""

    forward_seconds: float | None
    reverse_seconds: float | None


#: evidence that other packages measure, by name: a function without arguments that returns
#: lags → `Lags` · way_back → `rules.way_back.WayBack` · backup, report → `gates.Proof` ·
#: warm_since → datetime, when legacy became warm · pipeline → `Proof` of the always-firing alert.
#: Each may return None: not measured. What nobody supplies is None as well, and the gate is inconclusive.
_supplied: dict[str, Callable[[], Any]] = {}
_DEFAULTS = {"lags": "migration.syncing.lag.lags", "way_back": "migration.syncing.way_back.way_back"}


def supply(name: str, measure: Callable[[], Any] | None) -> None:
    """Let `measure` answer for this piece of evidence; None takes it away. Called in `AppConfig.ready`."""
    if measure is None:
        _supplied.pop(name, None)
    else:
        _supplied[name] = measure


def supplied(name: str) -> Any:
    """Return what was measured, None if nobody does. Raises what the measurement raises."""
    measure = _supplied.get(name) or _by_default(name)
    return measure() if measure else None


@cache
def _by_default(name: str) -> Callable[[], Any] | None:
    module, _, function = _DEFAULTS.get(name, "").rpartition(".")
    package = module.rpartition(".")[0]
    if not module or find_spec(package) is None or find_spec(module) is None:
        return None
    found: Callable[[], Any] = getattr(import_module(module), function)
    return found


@dataclass(frozen=True, slots=True)
class Moved:
    """Robots whose bucket is on `new`: how many, how many of them it heard itself, and who fell silent."""

    moved: int
    heard: int
    silent: tuple[str, ...]


def moved(run: PhaseRun, now: datetime, since: datetime | None = None) -> Moved:
    """Robots that spoke in this run (or `since`) and belong to `new`, by bucket, cohort or pin.

    Silent ones are held against it only if a larger share of them fell silent than of those that stayed.
    """
    since = since or run.evidence_from
    silent_after = timedelta(seconds=offline_after_seconds(settings.ROBOT_INTERVAL_SECONDS))
    in_play = Robot.objects.filter(last_seen_at__gte=since - silent_after)
    on_new = _on_new(run)
    silent = Q(last_seen_at__lt=now - silent_after)
    heard = Q(last_acknowledged_as_owner_at__gte=since) | silent
    told = in_play.aggregate(
        moved=Count("pk", filter=on_new),
        stayed=Count("pk", filter=~on_new),
        moved_silent=Count("pk", filter=on_new & silent),
        stayed_silent=Count("pk", filter=~on_new & silent),
        heard=Count("pk", filter=on_new & heard),
    )
    moved_share = told["moved_silent"] / told["moved"] if told["moved"] else 0.0
    stayed_share = told["stayed_silent"] / told["stayed"] if told["stayed"] else 0.0
    names: tuple[str, ...] = ()
    if moved_share > stayed_share:
        gone = in_play.filter(on_new & silent).order_by("robot_id")
        names = tuple(gone.values_list("robot_id", flat=True)[:100])
    return Moved(told["moved"], told["heard"], names)


def as_served(robots: Moved) -> ServedByNew:
    """Only which robots were heard, for the rule that names those left behind."""
    nothing = Evidence(0, 0)
    return ServedByNew(
        nothing, nothing, nothing, nothing, silent_after_moving=robots.silent, moved=robots.moved, heard=robots.heard
    )


def _on_new(run: PhaseRun) -> Q:
    """Robots of `new`: below the split that was reached, or named by a cohort or a pin that is in force."""
    try:
        plan = routing.route_file().read().plan
    except RouteError:
        return Q(bucket__isnull=False, bucket__lt=run.percent * BUCKETS_PER_PERCENT)
    members = plan.members if plan.honours_pins else {}
    named = {side: [key_of(name) for name, owner in members.items() if owner is side] for side in Side}
    below = Q(bucket__isnull=False, bucket__lt=run.percent * BUCKETS_PER_PERCENT)
    if named[Side.LEGACY]:
        below &= ~Q(key__in=named[Side.LEGACY])
    return below | Q(key__in=named[Side.NEW]) if named[Side.NEW] else below


def connections_percent() -> float:
    """Open connections by the server's limit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 100.0 * count(*) / current_setting('max_connections')::int FROM pg_stat_activity")
        return float(cursor.fetchone()[0])
