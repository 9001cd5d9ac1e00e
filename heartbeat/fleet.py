"""Use case: the fleet in numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import Case, DateTimeField, F, QuerySet, TextField, Value, When
from django.db.models.functions import Coalesce, Extract

from heartbeat.models import Robot
from heartbeat.rules.liveness import (
    LATE_AFTER_INTERVALS,
    LATE_GRACE_SECONDS,
    OFFLINE_AFTER_INTERVALS,
    OFFLINE_GRACE_SECONDS,
    Liveness,
    liveness,
)


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


_COUNTS = """
SELECT kind, status, last_side,
       CASE WHEN silent IS NULL THEN 'never'
            WHEN silent > expected * %(offline_after)s + %(offline_grace)s THEN 'offline'
            WHEN silent > expected * %(late_after)s + %(late_grace)s THEN 'late' ELSE 'online' END AS liveness,
       count(*)
FROM (SELECT kind, status, last_side, coalesce(expected_interval_seconds, interval_seconds, %(interval)s) AS expected,
             extract(epoch FROM %(now)s - last_seen_at) AS silent FROM heartbeat_robot) AS robots
GROUP BY 1, 2, 3, 4
"""


def fleet_summary(now: datetime) -> FleetSummary:
    """Count the fleet as it is at `now`, by one query. Every liveness and owner is named, also with nobody in it."""
    parameters = {
        "now": now,
        "interval": settings.ROBOT_INTERVAL_SECONDS,
        "late_after": LATE_AFTER_INTERVALS,
        "late_grace": LATE_GRACE_SECONDS,
        "offline_after": OFFLINE_AFTER_INTERVALS,
        "offline_grace": OFFLINE_GRACE_SECONDS,
    }
    kinds: Counter[str] = Counter({"lekiwi": 0, "xle": 0, "unknown": 0})
    statuses: Counter[str] = Counter()
    alive: Counter[str] = Counter({state.value: 0 for state in Liveness})
    owners: Counter[str] = Counter({"new": 0, "legacy": 0, "unmarked": 0})
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, parameters)
        for kind, status, side, state, count in cursor.fetchall():
            kinds[kind] += count
            statuses[status or "unknown"] += count
            alive[state] += count
            owners[side or "unmarked"] += count
    return FleetSummary(now, sum(kinds.values()), dict(kinds), dict(statuses), dict(alive), dict(owners))


def with_liveness(robots: QuerySet[Robot], now: datetime) -> QuerySet[Robot]:
    """The robots with their `liveness` at `now` as a column, to show and to filter by; the same as `liveness_of`."""
    interval = Coalesce("expected_interval_seconds", "interval_seconds", Value(settings.ROBOT_INTERVAL_SECONDS))
    silent = Extract(Value(now, DateTimeField()) - F("last_seen_at"), "epoch")

    def after(intervals: int, grace_seconds: float) -> F:
        return F("_interval") * Value(float(intervals)) + Value(grace_seconds)

    state = Case(
        When(last_seen_at__isnull=True, then=Value(Liveness.NEVER.value)),
        When(_silent__gt=after(OFFLINE_AFTER_INTERVALS, OFFLINE_GRACE_SECONDS), then=Value(Liveness.OFFLINE.value)),
        When(_silent__gt=after(LATE_AFTER_INTERVALS, LATE_GRACE_SECONDS), then=Value(Liveness.LATE.value)),
        default=Value(Liveness.ONLINE.value),
        output_field=TextField(),
    )
    return robots.alias(_interval=interval, _silent=silent).annotate(liveness=state)


def liveness_of(robot: Robot, now: datetime) -> Liveness:
    """The liveness of one robot: by the interval an operator set, its own, or the fleet's."""
    interval = robot.expected_interval_seconds or robot.interval_seconds or settings.ROBOT_INTERVAL_SECONDS
    return liveness(robot.last_seen_at, interval, now)
