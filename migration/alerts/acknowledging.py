"""A person takes care of an alert: from then on it is not escalated."""

import structlog
from django.db import transaction

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import Refused, WrongState
from migration.models import Alert

log = structlog.get_logger(__name__)


def acknowledge(alert_id: int, *, actor: Actor, comment: str = "") -> Alert:
    """Acknowledge one alert. Raises `Refused` if it is over, or somebody has it, who is named."""
    now = system_clock().now()
    with transaction.atomic():
        alert = Alert.objects.select_for_update().filter(pk=alert_id).first()
        if alert is None:
            raise Refused(f"there is no alert {alert_id}")
        try:
            alert.acknowledge(actor.name, now, comment)
        except WrongState as error:
            raise Refused(str(error)) from error
        alert.save()
        audit.record(
            actor,
            "alert_acknowledged",
            f"acknowledged “{alert.sentence}”",
            at=now,
            why=comment,
            before={"acknowledged_by": ""},
            after={"acknowledged_by": actor.name},
            detail={"alert": alert.pk},
        )
    log.info("alert.acknowledged", alert=alert.pk, name=alert.name, by=actor.name)
    return alert


def acknowledge_group(group: str, *, actor: Actor, comment: str = "") -> list[Alert]:
    """Acknowledge every open alert of a group that nobody has. Raises `Refused` if there is none."""
    waiting = Alert.objects.filter(group=group, closed_at=None, acknowledged_at=None).order_by("id")
    with transaction.atomic():
        found = [acknowledge(pk, actor=actor, comment=comment) for pk in waiting.values_list("pk", flat=True)]
    if not found:
        raise Refused("no open alert of this group waits for somebody")
    return found
