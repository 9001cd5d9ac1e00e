"""Reading the contacts: who is on call, who is asked next, what is missing."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from migration.models import Channel, Contact, EscalationStep, RotaShift
from migration.rules import contacts
from migration.rules.contacts import Duty, Purpose
from migration.rules.voting import Role


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who is told when nobody acknowledged for `after` (real time): the one named first, then the backups."""

    after: timedelta
    duty: Duty
    people: tuple[Contact, ...]


def on_call(now: datetime) -> Contact | None:
    """Who is on call by the rota; the newest entry where two overlap. None in a gap."""
    shift = (
        RotaShift.objects.filter(starts_at__lte=now, ends_at__gt=now).select_related("contact").order_by("-id").first()
    )
    return shift.contact if shift else None


def escalation_path(now: datetime) -> list[Escalation]:
    """The path in the order it is walked, with the people of each step as of `now`. DESIGN.md's unless one is stored.

    On-call is whoever the rota names, then the others of that duty.
    """
    steps = [(step.after_minutes, Duty(step.duty)) for step in EscalationStep.objects.all()]
    by_duty: dict[str, list[Contact]] = {}
    for contact in Contact.objects.order_by("is_backup", "id"):
        by_duty.setdefault(contact.duty, []).append(contact)
    found = []
    for minutes, duty in steps or contacts.DEFAULT_PATH:
        people = by_duty.get(duty, [])
        if duty is Duty.ON_CALL and (watching := on_call(now)):
            people = [watching, *(one for one in people if one.pk != watching.pk)]
        found.append(Escalation(timedelta(minutes=minutes), duty, tuple(people)))
    return found


def channel(purpose: Purpose) -> Channel | None:
    """Where to talk for one purpose."""
    return Channel.objects.filter(purpose=purpose).first()


def stands_in_for(user: Any) -> list[Role]:
    """The voting roles whose named backup this login is."""
    duties = set(Contact.objects.filter(login=user, is_backup=True).values_list("duty", flat=True))
    return [role for role in Role if role.value in duties]


def missing(now: datetime) -> list[str]:
    """What keeps the contacts from being complete, a sentence each."""
    return contacts.missing(
        people=[contacts.Reachable(Duty(one.duty), one.is_backup, one.name) for one in Contact.objects.all()],
        channels=[Purpose(one.purpose) for one in Channel.objects.all()],
        path=[(int(step.after.total_seconds() // 60), step.duty) for step in escalation_path(now)],
        watches=[
            contacts.Watch(shift.contact.name, shift.starts_at, shift.ends_at)
            for shift in RotaShift.objects.filter(ends_at__gt=now).select_related("contact")
        ],
        now=now,
    )


def digest() -> str:
    """What a signature of the contacts vouches for: people, channels and the path, not the rota that goes on weekly."""
    told = [
        list(Contact.objects.order_by("id").values_list("duty", "is_backup", "name", "telephone", "email")),
        list(Channel.objects.values_list("purpose", "name", "address")),
        list(EscalationStep.objects.values_list("after_minutes", "duty")),
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
