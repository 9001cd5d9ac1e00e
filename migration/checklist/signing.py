"""What only a person can know: who vouches for it, as which role, and how it is taken back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction

from migration import audit, contacts
from migration.actors import Actor, role_of
from migration.clock import system_clock
from migration.errors import MissingReason, Refused
from migration.models import SignOff
from migration.rules.prechecks import Signed
from migration.rules.voting import Role

log = structlog.get_logger(__name__)


def _nothing_stored() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Subject:
    """One point to be signed; `judged` digests what is vouched for, so that a change makes the signature void."""

    name: str
    title: str
    role: Role
    #: what whoever signs has made sure of
    means: str
    judged: Callable[[], str] = _nothing_stored


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject(
            "contacts",
            "Contacts, rota and escalation are right",
            Role.ON_CALL,
            "everybody on the escalation path answered a test call",
            contacts.digest,
        ),
        Subject(
            "channels",
            "Channels and war room are set up",
            Role.MONITORING,
            "status and alerts channels, war room and incident call were tried by those who will use them",
        ),
        Subject(
            "training",
            "The team is trained",
            Role.MIGRATION_LEAD,
            "every role has walked through the runbooks and rolled back once in the demo",
        ),
        Subject(
            "stakeholders",
            "Stakeholders are informed",
            Role.MIGRATION_LEAD,
            "everybody who depends on the fleet knows what happens when, and whom to ask",
        ),
        Subject(
            "maintenance-windows",
            "Maintenance windows of all sites are agreed",
            Role.INFRASTRUCTURE,
            "every site has named its window, and the freeze windows are entered",
        ),
        Subject(
            "firewall",
            "Robots reach the door and nothing behind it",
            Role.INFRASTRUCTURE,
            "checked at every site: the door answers, legacy's own port does not",
        ),
        Subject(
            "runbooks",
            "Runbooks were read and tried once",
            Role.QA,
            "each command of the runbooks was run in the demo, by somebody who had not written it",
        ),
    )
}


class UnknownSubject(Refused):
    """There is no such point."""


class NotTheirs(Refused):
    """Another role signs this."""


def may_sign(user: Any, subject: Subject) -> tuple[bool, bool]:
    """(Whether this person signs the point, whether as the role's named backup)."""
    if not user.has_perm("migration.sign_off"):
        return False, False
    if role_of(user) is subject.role:
        return True, False
    is_backup = subject.role in contacts.stands_in_for(user)
    return is_backup, is_backup


def sign(user: Any, name: str, comment: str) -> SignOff:
    """Vouch for a point. Raises `UnknownSubject`, `NotTheirs`, `MissingReason`, or `Refused` if it is signed."""
    subject = _subject(name)
    allowed, as_backup = may_sign(user, subject)
    if not allowed:
        raise NotTheirs(f"{subject.title}: {subject.role.words} or their named backup signs this")
    if not comment.strip():
        raise MissingReason("a signature")
    now = system_clock().now()
    with transaction.atomic():
        before = SignOff.objects.select_for_update().filter(subject=name, withdrawn_at=None).first()
        if before and before.judged == subject.judged():
            raise Refused(f"{before.person.get_username()} has signed this already; withdraw it first")
        if before:
            before.withdraw(now, user.get_username(), "signed again after a change")
            before.save()
        signed = SignOff.objects.create(
            subject=name,
            role=subject.role,
            person=user,
            as_backup=as_backup,
            comment=comment.strip(),
            signed_at=now,
            judged=subject.judged(),
        )
        detail = {"subject": name, "role": subject.role, "as_backup": as_backup, "comment": signed.comment}
        audit.record(Actor.of(user), "signed", f"signed “{subject.title}”: {signed.comment}", at=now, detail=detail)
    log.info("checklist.signed", subject=name, role=subject.role, as_backup=as_backup)
    return signed


def withdraw(user: Any, name: str, reason: str) -> SignOff:
    """Take a signature back: whoever may sign the point may. Raises what `sign` raises."""
    subject = _subject(name)
    allowed, _ = may_sign(user, subject)
    if not allowed:
        raise NotTheirs(f"{subject.title}: {subject.role.words} or their named backup may withdraw this")
    if not reason.strip():
        raise MissingReason("a withdrawal")
    now = system_clock().now()
    with transaction.atomic():
        signed = SignOff.objects.select_for_update().filter(subject=name, withdrawn_at=None).first()
        if signed is None:
            raise Refused(f"“{subject.title}” is not signed")
        signed.withdraw(now, user.get_username(), reason.strip())
        signed.save()
        sentence = f"withdrew the signature of “{subject.title}”: {reason.strip()}"
        audit.record(Actor.of(user), "signature_withdrawn", sentence, at=now, detail={"subject": name})
    log.info("checklist.withdrawn", subject=name)
    return signed


def signatures() -> dict[str, Signed]:
    """The signature of each point that has one, void where what it vouched for has changed."""
    return {
        one.subject: Signed(
            one.person.get_username(), one.comment, one.signed_at, one.judged != SUBJECTS[one.subject].judged()
        )
        for one in SignOff.objects.filter(withdrawn_at=None, subject__in=SUBJECTS).select_related("person")
    }


def _subject(name: str) -> Subject:
    if name not in SUBJECTS:
        raise UnknownSubject(f"there is nothing to sign by the name {name!r}; there are {', '.join(SUBJECTS)}")
    return SUBJECTS[name]
