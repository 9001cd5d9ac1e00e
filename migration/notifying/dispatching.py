"""Notifications become deliveries: for each destination one message at a time of all that it has not heard.

While a destination does not answer, what happens meanwhile waits together and becomes one message, not a thousand.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from migration.models import Delivery, Notification, Position
from migration.notifying.collecting import lock
from migration.notifying.destinations import PERSON, Destination, destinations

_AT_ONCE = 500


def register() -> None:
    """Begin to keep count for destinations that are new: they hear what happens from now on."""
    names = {_place(name) for name in destinations()}
    for name in names - set(Position.objects.filter(pk__in=names).values_list("pk", flat=True)):
        head = Notification.objects.aggregate(last=Max("id"))["last"] or 0
        Position.objects.get_or_create(name=name, defaults={"last": head, "begin": head})


def dispatch(now: datetime) -> list[Delivery]:
    """Make the deliveries that are due and return them. Safe to call twice and from two processes."""
    with transaction.atomic():
        lock()
        busy = set(Delivery.objects.filter(state=Delivery.State.WAITING).values_list("destination", flat=True))
        made = [_for(destination, now) for name, destination in destinations().items() if name not in busy]
        return [delivery for delivery in made if delivery] + _for_persons(now, busy)


def _for(destination: Destination, now: datetime) -> Delivery | None:
    place = Position.objects.get(pk=_place(destination.name))
    unheard = list(Notification.objects.filter(id__gt=place.last).order_by("id")[:_AT_ONCE])
    if not unheard:
        return None
    wanted = [one for one in unheard if set(one.channels) & set(destination.channels)]
    if wanted and not _is_ripe(wanted, now):
        return None
    place.last = unheard[-1].pk
    place.save()
    return _made(destination.name, wanted, now) if wanted else None


def _is_ripe(wanted: list[Notification], now: datetime) -> bool:
    oldest = min(one.at for one in wanted)
    return any(one.is_urgent for one in wanted) or now - oldest >= timedelta(seconds=settings.NOTIFY_GROUP_SECONDS)


def _for_persons(now: datetime, busy: set[str]) -> list[Delivery]:
    by_address: dict[str, list[Notification]] = {}
    for one in Notification.objects.exclude(address="").exclude(deliveries__destination__startswith=PERSON)[:_AT_ONCE]:
        by_address.setdefault(one.address, []).append(one)
    names = {f"{PERSON}{address}": wanted for address, wanted in by_address.items()}
    return [_made(name, wanted, now) for name, wanted in names.items() if name not in busy]


def _made(name: str, wanted: list[Notification], now: datetime) -> Delivery:
    delivery = Delivery.objects.create(destination=name, created_at=now, due_at=now)
    delivery.notifications.set(wanted)
    return delivery


def _place(name: str) -> str:
    return f"to {name}"
