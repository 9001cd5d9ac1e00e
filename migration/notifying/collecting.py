"""What happened becomes notifications, each once: from the audit log, gates, incidents, alerts.

Nobody who acts waits for this or can forget it: what is audited is told (`rules.notifying.channels_of`).
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from heartbeat.models import Notice
from heartbeat.models.incident import Route
from migration import judging
from migration.models import Alert, AuditEntry, GateResult, Notification, Position
from migration.rules import notifying
from migration.rules.notifying import ALERTS, STATUS

#: any constant: one collector at a time, so that ids of notifications appear in order
_COLLECT_LOCK = 0x6E6F7469
#: rows that were written before others with higher ids may become visible after them
_OVERLAP = 200
_AT_ONCE = 500
#: an alert that is over is told within this time or not at all
_OVER_IS_NEWS = timedelta(hours=1)


def collect(now: datetime) -> int:
    """Write what is new as notifications and return how many. Safe to call twice and from two processes."""
    sources: tuple[tuple[str, QuerySet[Any], str, Callable[[Any], Notification | None]], ...] = (
        ("audit", AuditEntry.objects.all(), "sequence", _of_audit),
        ("gates", GateResult.objects.select_related("run"), "id", _of_gate),
        ("incidents", Notice.objects.all(), "id", _of_incident),
        ("alerts", Alert.objects.all(), "id", _of_alert),
    )
    with transaction.atomic():
        lock()
        found: list[Notification] = []
        for name, rows, column, told in sources:
            found += [one for row in _new(name, rows, column) if (one := told(row))]
        found += _over(now)
        known = set(Notification.objects.filter(key__in=[one.key for one in found]).values_list("key", flat=True))
        new = sorted((one for one in found if one.key not in known), key=lambda one: one.at)
        Notification.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)


def lock() -> None:
    """Hold the collector's lock until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_COLLECT_LOCK])


def _new(name: str, rows: QuerySet[Any], column: str) -> Iterator[Any]:
    """The rows since the last look, and again the latest of before: the unique key keeps each from being told twice."""
    place = Position.objects.filter(pk=name).first()
    if place is None:
        head = rows.aggregate(last=Max(column))["last"] or 0
        Position.objects.create(name=name, last=head, begin=head)
        return
    begin = max(place.begin, place.last - _OVERLAP)
    for row in rows.filter(**{f"{column}__gt": begin}).order_by(column)[: _AT_ONCE + _OVERLAP]:
        place.last = max(place.last, getattr(row, column))
        yield row
    place.save()


def _of_audit(entry: AuditEntry) -> Notification | None:
    channels = notifying.channels_of(entry.action)
    if not channels:
        return None
    why = entry.detail.get("why") or entry.detail.get("reason") or entry.detail.get("comment") or ""
    because = f" ({why})" if why and why not in entry.sentence else ""
    return Notification(
        key=f"audit:{entry.sequence}",
        kind=entry.action.split("_")[0],
        channels=list(channels),
        is_urgent=notifying.is_urgent(entry.action),
        sentence=f"{entry.actor}: {entry.sentence}{because}",
        at=entry.at,
    )


def _of_gate(result: GateResult) -> Notification:
    label = judging.LABELS.get(result.gate, result.gate)
    return Notification(
        key=f"gate:{result.pk}",
        kind="gate",
        channels=[STATUS],
        sentence=f"{result.run.phase.name}, gate {label}: {result.verdict}: {result.sentence}",
        at=result.since,
    )


def _of_incident(notice: Notice) -> Notification:
    return Notification(
        key=f"incident:{notice.pk}",
        kind="incident",
        channels=[STATUS] if notice.route == Route.LATE else [ALERTS],
        sentence=notice.text,
        at=notice.created_at,
    )


def _of_alert(alert: Alert) -> Notification:
    outcome = f": {alert.outcome}" if alert.outcome else ""
    runbook = f" Runbook: {alert.runbook}" if alert.runbook else ""
    return Notification(
        key=f"alert:{alert.pk}:opened",
        kind="alert",
        channels=[ALERTS],
        is_urgent=alert.severity == Alert.Severity.CRITICAL,
        sentence=f"{alert.get_severity_display().upper()}: {alert.sentence}{outcome}{runbook}",
        at=alert.opened_at,
    )


def _over(now: datetime) -> list[Notification]:
    """Alerts that are over, if somebody was told of them."""
    recent = list(Alert.objects.filter(closed_at__gt=now - _OVER_IS_NEWS))
    keys = [f"alert:{alert.pk}:opened" for alert in recent]
    told = set(Notification.objects.filter(key__in=keys).values_list("key", flat=True))
    return [
        Notification(
            key=f"alert:{alert.pk}:over",
            kind="alert",
            channels=[ALERTS],
            sentence=f"over: {alert.sentence}",
            at=alert.closed_at,
        )
        for alert in recent
        if f"alert:{alert.pk}:opened" in told
    ]
