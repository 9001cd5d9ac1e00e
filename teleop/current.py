"""Who drives what now, and what an operator should know of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import BooleanField, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from heartbeat.models import Lease
from teleop import claims
from teleop.following.running import NAME
from teleop.models import LegacyClaim, RobotOperation, Session
from teleop.rules.quality import Alert, alerts_of

#: a watcher that made no progress for longer does not know what is now (the guards' limit is the same)
WATCHER_LIMIT_SECONDS = 3.0
_OPERATED = ("active", "lost")


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of now. `watched`: the watcher makes progress, so that they are of now."""

    robots: int
    by_state: dict[str, int]
    by_driver: dict[str, int]
    contested: int
    alerts: int
    disagreements: int
    operators_with_several: dict[str, list[str]]
    watched: bool
    watcher_age_seconds: float | None


def operations() -> QuerySet[RobotOperation]:
    """Every robot, by id, with what legacy says of it.

    `claim`: whether legacy says that it is teleoperated, by its own record where that was read lately (`claim_field`,
    `claim_since`, `claim_read_at`), else what it would conclude from the service, as the robot told it.
    """
    read = LegacyClaim.objects.filter(robot_key=OuterRef("robot_key"), read_at__gte=Now() - claims.FRESH)
    own = {f"claim_{name}": Subquery(read.values(name)[:1]) for name in ("field", "since", "read_at")}
    said = Coalesce(Subquery(read.values("operated")[:1]), F("legacy_claims"), output_field=BooleanField(null=True))
    return RobotOperation.objects.annotate(claim=said, **own).order_by("robot_id")


def operated() -> QuerySet[RobotOperation]:
    """Robots in a session, the longest first."""
    return operations().filter(state__in=_OPERATED).order_by("since", "robot_id")


def disagreements() -> QuerySet[RobotOperation]:
    """Robots of which legacy says something else than the signals: it takes a running service for an operator."""
    wrong = Q(claim=True, state__in=("idle", "host_ready")) | Q(claim=False, state__in=_OPERATED)
    return operations().filter(wrong, basis="signals")


def alerts_for(operation: RobotOperation) -> list[Alert]:
    """What is wrong with the connection of a robot that is driven, and with who drives it."""
    if operation.state not in _OPERATED:
        return []
    alerts = alerts_of(operation.latency_ms, operation.fps, operation.loss_percent)
    if operation.state == "lost":
        alerts.insert(0, Alert("lost", operation.because))
    if operation.contested:
        alerts.insert(0, Alert("contested", f"{' and '.join(operation.operators)} command at once"))
    return alerts


def summary(now: datetime) -> Summary:
    """The fleet's operation in numbers."""
    rows = list(operated())
    age = watcher_age_seconds(now)
    states = Counter(RobotOperation.objects.order_by().values_list("state", flat=True))
    return Summary(
        robots=states.total(),
        by_state={state: states[state] for state in RobotOperation.State.values},
        by_driver=dict(Counter(row.driver for row in rows)),
        contested=sum(row.contested for row in rows),
        alerts=sum(bool(alerts_for(row)) for row in rows),
        disagreements=disagreements().count(),
        operators_with_several=several(rows),
        watched=age is not None and age <= WATCHER_LIMIT_SECONDS,
        watcher_age_seconds=age,
    )


def several(rows: Sequence[RobotOperation]) -> dict[str, list[str]]:
    """Operators with more than one robot, and which."""
    robots: dict[str, list[str]] = {}
    for row in rows:
        for operator in row.operators:
            robots.setdefault(operator, []).append(row.robot_id)
    return {operator: names for operator, names in sorted(robots.items()) if len(names) > 1}


def watcher_age_seconds(now: datetime) -> float | None:
    """Since the watcher's latest progress; None before it ever ran."""
    renewed = Lease.objects.filter(name=NAME).values_list("renewed_at", flat=True).first()
    return None if renewed is None else (now - renewed).total_seconds()


def recent_sessions(now: datetime, within: timedelta) -> QuerySet[Session]:
    """Sessions that were open at some time since then, newest first."""
    began_before = Q(ended_at__isnull=True) | Q(ended_at__gte=now - within)
    return Session.objects.filter(began_before).order_by("-began_at")
