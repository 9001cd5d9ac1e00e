"""Changing contacts, channels, the rota and the escalation path: each change is in the audit log, before and after."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.forms import model_to_dict

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import Channel, Contact, EscalationStep, RotaShift
from migration.rules.contacts import Duty


class BadContact(Refused):
    """What was entered cannot be; `fields` says where and why."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self.fields = {name: list(reasons) for name, reasons in fields.items()}
        reasons = [f"{name}: {' '.join(told)}" for name, told in self.fields.items()]
        super().__init__("; ".join(reasons), reasons)


def put_contact(fields: Mapping[str, Any], *, actor: Actor, contact: Contact | None = None) -> Contact:
    """Enter somebody, or change `contact`. Raises `BadContact`."""
    changed: Contact = put(contact or Contact(), fields, actor=actor)
    return changed


def put_channel(fields: Mapping[str, Any], *, actor: Actor) -> Channel:
    """Enter the channel of a purpose, or change it. Raises `BadContact`."""
    known = Channel.objects.filter(purpose=fields.get("purpose")).first()
    changed: Channel = put(known or Channel(), fields, actor=actor)
    return changed


def put_on_rota(contact: Contact, starts_at: datetime, ends_at: datetime, *, actor: Actor) -> RotaShift:
    """Put somebody on call for a time. Raises `BadContact`."""
    fields = {"contact": contact, "starts_at": starts_at, "ends_at": ends_at}
    shift: RotaShift = put(RotaShift(), fields, actor=actor)
    return shift


def put_path(steps: Sequence[tuple[int, Duty]], *, actor: Actor) -> list[EscalationStep]:
    """Replace the escalation path: (minutes without an acknowledgement, who is told then). Raises `BadContact`."""
    minutes = [after for after, _ in steps]
    if len(set(minutes)) != len(minutes) or not steps:
        raise BadContact({"steps": ["one or more steps, each after another number of minutes"]})
    with transaction.atomic():
        before = [[step.after_minutes, step.duty] for step in EscalationStep.objects.all()]
        EscalationStep.objects.all().delete()
        stored = [EscalationStep.objects.create(after_minutes=after, duty=duty) for after, duty in sorted(steps)]
        after = [[step.after_minutes, step.duty] for step in stored]
        _tell(actor, "changed the escalation path", before, after)
    return stored


def remove(row: Contact | Channel | RotaShift | EscalationStep, *, actor: Actor) -> None:
    """Take a contact (with its rota), a channel or a shift on the rota away."""
    with transaction.atomic():
        sentence, before = f"removed {row}", _plain(row)
        row.delete()
        _tell(actor, sentence, before, None)


def put(row: Any, fields: Mapping[str, Any], *, actor: Actor) -> Any:
    """Store a contact, channel, shift on the rota or step of the path with these fields. Raises `BadContact`."""
    is_new = row.pk is None
    # a form of the admin has changed the row in memory already
    before = None if is_new else _plain(type(row).objects.get(pk=row.pk))
    for name, value in fields.items():
        setattr(row, name, value.strip() if isinstance(value, str) else value)
    if hasattr(row, "changed_at"):
        row.changed_at = system_clock().now()
    try:
        row.full_clean()
        _nobody_names_themselves(row, actor)
    except ValidationError as error:
        raise BadContact(_said(error)) from error
    with transaction.atomic():
        row.save()
        _tell(actor, f"{'entered' if is_new else 'changed'} {row}", before, _plain(row))
    return row


def _nobody_names_themselves(row: Any, actor: Actor) -> None:
    """A backup votes and signs for a role: that takes somebody else's word. Raises `ValidationError`."""
    if isinstance(row, Contact) and row.is_backup and row.login and row.login.get_username() == actor.name:
        raise ValidationError({"login": "nobody names themselves as a backup: somebody else enters it"})


#: which field a broken constraint is about: Django names none
_FIELDS = {
    "give a telephone number or an e-mail address": "telephone",
    "the end must be later than the start": "ends_at",
    "this name is in this duty already": "name",
}


def _said(error: ValidationError) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for name, reasons in error.message_dict.items():
        for reason in reasons:
            told.setdefault(_FIELDS.get(reason, name), []).append(reason)
    return told


def _tell(actor: Actor, sentence: str, before: Any, after: Any) -> None:
    audit.record(actor, "contacts", sentence, at=system_clock().now(), detail={"before": before, "after": after})


def _plain(row: models.Model) -> dict[str, Any]:
    return {name: str(value) for name, value in model_to_dict(row).items() if value not in (None, "")}
