"""Gathering what the gates judge: from the samples, the robots, the comparisons and the guards' pulses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Q

from heartbeat.models import Lease, Robot
from heartbeat.rules.liveness import offline_after_seconds
from migration import traffic
from migration.models import Comparison, PhaseRun, Pulse
from migration.rules.gates import Compared, Guard, ServedByNew

#: how old the latest progress of each guard may be, seconds (DESIGN.md, invariant 11)
GUARD_LIMITS: Mapping[str, float] = {"watchdog": 5.0, "route_agent": 5.0, "worker": 15.0, "watcher": 3.0, "sync": 5.0}


def guards(now: datetime) -> list[Guard]:
    """Every guard with the age of its latest progress."""
    # The watcher proves its progress by its lease; a standby that took over counts as well.
    at = dict(Pulse.objects.values_list("name", "at")) | dict(Lease.objects.values_list("name", "renewed_at"))
    return [
        Guard(name, (now - at[name]).total_seconds() if name in at else None, limit)
        for name, limit in GUARD_LIMITS.items()
    ]


def served_by_new(run: PhaseRun, flow: traffic.Flow | None, now: datetime) -> ServedByNew:
    """What `new` answered in `flow` (since the run began), which robots moved, and how loaded its processes are."""
    robots = _moved(run, now)
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
    )


def compared(run: PhaseRun, flow: traffic.Flow | None) -> Compared:
    """The latest comparison of this run, and the mirror in `flow` (since the run began)."""
    latest = Comparison.objects.filter(at__gte=run.evidence_from, failure="").first()
    counts = flow.counts if flow else {}
    return Compared(
        rows=latest.rows if latest else 0,
        different=tuple(sorted({row["robot_id"] for row in latest.different})) if latest else (),
        compared_at=latest.at if latest else None,
        to_new_primaries=counts.get("mirror.to_new.primaries", 0),
        to_new_copies=counts.get("mirror.to_new.copies", 0),
        to_legacy_primaries=counts.get("mirror.to_legacy.primaries", 0),
        to_legacy_copies=counts.get("mirror.to_legacy.copies", 0),
    )


@dataclass(frozen=True, slots=True)
class Moved:
    """Robots whose bucket is on `new`: how many, how many of them it heard itself, and who fell silent."""

    moved: int
    heard: int
    silent: tuple[str, ...]


def _moved(run: PhaseRun, now: datetime) -> Moved:
    """Robots that spoke in this run and belong to `new`.

    Silent ones are held against it only if a larger share of them fell silent than of those that stayed.
    """
    silent_after = timedelta(seconds=offline_after_seconds(settings.ROBOT_INTERVAL_SECONDS))
    in_play = Robot.objects.filter(last_seen_at__gte=run.evidence_from - silent_after)
    on_new = Q(bucket__lt=run.phase.percent * 100)
    silent = Q(last_seen_at__lt=now - silent_after)
    moved, stayed = in_play.filter(on_new), in_play.exclude(on_new)
    counts = moved.count(), stayed.count(), moved.filter(silent).count(), stayed.filter(silent).count()
    moved_share = counts[2] / counts[0] if counts[0] else 0.0
    stayed_share = counts[3] / counts[1] if counts[1] else 0.0
    names: tuple[str, ...] = ()
    if moved_share > stayed_share:
        names = tuple(moved.filter(silent).order_by("robot_id").values_list("robot_id", flat=True)[:100])
    heard = moved.filter(Q(last_acknowledged_as_owner_at__gte=run.evidence_from) | silent).count()
    return Moved(counts[0], heard, names)


def connections_percent() -> float:
    """Open connections by the server's limit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 100.0 * count(*) / current_setting('max_connections')::int FROM pg_stat_activity")
        return float(cursor.fetchone()[0])
