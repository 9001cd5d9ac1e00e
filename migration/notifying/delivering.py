"""Delivering: claimed by one sender, retried with backoff, given up after a day, and said so."""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from heartbeat.models import Notice
from migration import alerting, audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import Refused, WrongState
from migration.models import Alert, Delivery
from migration.notifying.destinations import named
from migration.notifying.sending import NotTaken, Parcel, send
from migration.rules.notifying import GIVE_UP_AFTER, Line, retry_after

log = structlog.get_logger(__name__)

#: longer than an attempt may take; a sender that was killed loses its claim after that
CLAIM = timedelta(seconds=60)
#: begins the name of the alert about a destination that takes nothing
UNDELIVERED = "undelivered "
_ALERT_AFTER_ATTEMPTS = 3


def due(now: datetime) -> list[Delivery]:
    """Deliveries that somebody may send now, the oldest first."""
    return list(_claimable(now).order_by("id"))


def deliver(delivery_id: int) -> Delivery | None:
    """Send one delivery if it is due and nobody else is at it; None if not. Never raises what a destination does.

    At least once: a sender that is killed after the destination took it sends it again, under the same identity.
    """
    now = system_clock().now()
    claimed_until = now + CLAIM
    if not _claimable(now).filter(pk=delivery_id).update(claimed_until=claimed_until):
        return None
    delivery = Delivery.objects.get(pk=delivery_id)
    lines = [Line(one.kind, one.sentence, one.at) for one in delivery.notifications.order_by("id")]
    failed: NotTaken | None = None
    try:
        destination = named(delivery.destination)
        if destination is None:
            raise NotTaken("this destination is no longer configured", is_final=True)
        send(destination, Parcel(str(delivery.uid), lines))
    except NotTaken as error:
        failed = error
    return _settle(delivery_id, claimed_until, failed)


def retry(delivery_id: int, *, actor: Actor) -> Delivery:
    """Send a delivery again that was given up. Raises `Refused` where there is none."""
    now = system_clock().now()
    with transaction.atomic():
        delivery = Delivery.objects.select_for_update().filter(pk=delivery_id).first()
        if delivery is None:
            raise Refused(f"there is no delivery {delivery_id}")
        if Delivery.objects.filter(destination=delivery.destination, state=Delivery.State.WAITING).exists():
            raise Refused(f"another message to {delivery.destination} is on its way: wait for it")
        try:
            delivery.retry(now)
        except WrongState as error:
            raise Refused(str(error)) from error
        delivery.save()
        sentence = f"had delivery {delivery.pk} to {delivery.destination} sent again"
        audit.record(actor, "delivery_retried", sentence, at=now, detail={"delivery": delivery.pk})
    return delivery


def _claimable(now: datetime) -> QuerySet[Delivery]:
    free = Q(claimed_until=None) | Q(claimed_until__lte=now)
    return Delivery.objects.filter(free, state=Delivery.State.WAITING, due_at__lte=now)


def _settle(delivery_id: int, claimed_until: datetime, failed: NotTaken | None) -> Delivery | None:
    now = system_clock().now()
    with transaction.atomic():
        delivery = Delivery.objects.select_for_update().get(pk=delivery_id)
        if delivery.claimed_until != claimed_until:
            return None  # the claim ran out and another sender has it
        if failed is None:
            delivery.sent(now)
            _mark_incidents(delivery, now)
        elif failed.is_final or now - delivery.created_at > GIVE_UP_AFTER:
            delivery.give_up(str(failed))
        else:
            delivery.again(str(failed), now, retry_after(delivery.attempts + 1, failed.retry_after))
        delivery.save()
        _alert(delivery, now)
    told = log.info if failed is None else log.warning
    told("delivery", delivery=delivery.pk, destination=delivery.destination, state=delivery.state, why=delivery.failure)
    return delivery


def _mark_incidents(delivery: Delivery, now: datetime) -> None:
    """The watcher's notices say when they were told first."""
    keys = delivery.notifications.filter(key__startswith="incident:").values_list("key", flat=True)
    Notice.objects.filter(pk__in=[int(key.partition(":")[2]) for key in keys], sent_at=None).update(sent_at=now)


def _alert(delivery: Delivery, now: datetime) -> None:
    name = f"{UNDELIVERED}{delivery.destination}"
    if delivery.state == Delivery.State.SENT:
        alerting.is_over(name, at=now)
    elif delivery.state == Delivery.State.FAILED or delivery.attempts >= _ALERT_AFTER_ATTEMPTS:
        verb = "was given up" if delivery.state == Delivery.State.FAILED else "is not taken"
        sentence = f"a message to {delivery.destination} {verb}: {delivery.failure}"
        alerting.tell(name, sentence, severity=Alert.Severity.WARNING, at=now)
