"""Use case: the fleet in numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Case, Count, DateTimeField, F, OuterRef, QuerySet, Subquery, TextField, Value, When
from django.db.models.functions import Coalesce, Extract

from heartbeat.models import Lease, Robot, RobotLiveness
from heartbeat.rules.liveness import (
    LATE_GRACE_SECONDS,
    OFFLINE_AFTER_INTERVALS,
    OFFLINE_GRACE_SECONDS,
    Liveness,
)

#: what a watcher wrote that has made no progress for this long is history
WATCHED_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class FleetSummary:
    """How many robots there are, by kind, by the status they report, by liveness, by the owner of their latest call."""

    at: datetime
    total: int
    by_kind: Mapping[str, int]
    by_status: Mapping[str, int]
    by_liveness: Mapping[str, int]
    #: new, legacy, unmarked (did not come through the robots' door)
    by_owner: Mapping[str, int]


def fleet_summary(now: datetime) -> FleetSummary:
    """Count the fleet as it is at `now`, by one query. Every liveness and owner is named, also with nobody in it."""
    kinds: Counter[str] = Counter({"lekiwi": 0, "xle": 0, "unknown": 0})
    statuses: Counter[str] = Counter()
    alive: Counter[str] = Counter({state.value: 0 for state in Liveness})
    owners: Counter[str] = Counter({"new": 0, "legacy": 0, "unmarked": 0})
    found = with_liveness(Robot.objects.all(), now).values_list("kind", "status", "last_side", "liveness")
    for kind, status, side, state, count in found.annotate(count=Count("pk")).order_by():
        kinds[kind] += count
        statuses[status or "unknown"] += count
        alive[state] += count
        owners[side or "unmarked"] += count
    return FleetSummary(now, sum(kinds.values()), dict(kinds), dict(statuses), dict(alive), dict(owners))


def with_liveness(robots: QuerySet[Robot], now: datetime) -> QuerySet[Robot]:
    """The robots with their `liveness` at `now` as a column, to show and to filter by; the same as `liveness_of`.

    The watcher's word is the truth, deaf times and all. A robot that it has not seen yet, and every robot while no
    watcher makes progress, is judged by its silence alone.
    """
    silent = Extract(Value(now, DateTimeField()) - F("last_seen_at"), "epoch")
    interval = Coalesce("expected_interval_seconds", "interval_seconds", Value(settings.ROBOT_INTERVAL_SECONDS))
    by_rule = F("_interval") * (OFFLINE_AFTER_INTERVALS - 1.0) + OFFLINE_GRACE_SECONDS
    robots = robots.alias(
        _silent=silent,
        _interval=interval,
        _late=Coalesce("grace_seconds", F("_interval") + LATE_GRACE_SECONDS) + F("_interval"),
        _offline=Coalesce(F("grace_seconds") * 2.0, by_rule) + F("_interval"),
    )
    judged = Case(
        When(last_seen_at__isnull=True, then=Value(Liveness.NEVER.value)),
        When(_silent__gt=F("_offline"), then=Value(Liveness.OFFLINE.value)),
        When(_silent__gt=F("_late"), then=Value(Liveness.LATE.value)),
        default=Value(Liveness.ONLINE.value),
        output_field=TextField(),
    )
    if not is_watched(now):
        return robots.annotate(liveness=judged)
    watched = RobotLiveness.objects.filter(robot_key=OuterRef("key")).values("state")
    return robots.annotate(liveness=Coalesce(Subquery(watched), judged))


def is_watched(now: datetime) -> bool:
    """Whether a watcher makes progress."""
    return Lease.objects.filter(name="watcher", renewed_at__gt=now - WATCHED_WITHIN).exists()


def liveness_of(robot: Robot, now: datetime) -> Liveness:
    """The liveness of one robot, as `with_liveness` tells it."""
    return Liveness(with_liveness(Robot.objects.filter(pk=robot.pk), now).values_list("liveness", flat=True).get())
