"""Escalating critical alerts step by step until somebody acknowledges them or they are over."""

from datetime import datetime

import structlog
from django.db import IntegrityError, transaction

from migration import audit
from migration.actors import Actor
from migration.alerts.path import escalation_path
from migration.models import Alert, Escalation, Notification
from migration.rules.escalating import Step, due
from migration.rules.notifying import ALERTS

log = structlog.get_logger(__name__)

ESCALATION = Actor("escalation")


def escalate(now: datetime) -> list[Escalation]:
    """Take every step that is due. Each once, however many look; what was taken is audited."""
    path = escalation_path(now)
    taken = []
    waiting = Alert.objects.filter(severity=Alert.Severity.CRITICAL, closed_at=None, acknowledged_at=None)
    for alert in waiting.order_by("opened_at"):
        for place, step in due(path, alert.opened_at, now, alert.escalations.count()):
            if told := _take(alert, place, step, now):
                taken.append(told)
    return taken


def _take(alert: Alert, place: int, step: Step, now: datetime) -> Escalation | None:
    waited = (now - alert.opened_at).total_seconds()
    since = f"unacknowledged for {waited / 60:.0f} min" if waited >= 60 else "nobody has acknowledged it yet"
    unreached = f" ({step.lacks})" if step.lacks else ""
    try:
        with transaction.atomic():
            told = Escalation.objects.create(alert=alert, step=place, who=step.who, address=step.address, told_at=now)
            Notification.objects.create(
                key=f"alert:{alert.pk}:step:{place}",
                kind="escalation",
                channels=[ALERTS],
                is_urgent=True,
                address=step.address,
                sentence=f"To {step.words}: {alert.sentence}; {since}{unreached}",
                at=now,
            )
            sentence = f"called {step.words} because of “{alert.sentence}”"
            detail = {"alert": alert.pk, "step": place, "who": step.who}
            audit.record(ESCALATION, "escalated", sentence, at=now, detail=detail)
    except IntegrityError:
        return None  # another process took this step
    log.warning("alert.escalated", alert=alert.pk, name=alert.name, step=place, who=step.who)
    return told
