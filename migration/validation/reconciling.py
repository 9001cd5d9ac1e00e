"""Use cases: explaining a discrepancy, and reconciling it in three steps: proposed, reviewed by another, applied."""

from collections.abc import Iterable
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import MissingReason, Refused, WrongState
from migration.models import Discrepancy, Reconciliation
from migration.rules.comparing import Difference, Reading, differences
from migration.rules.pairing import can_be_read_alone
from migration.validation import taking
from migration.validation.echoes import in_their_time
from migration.validation.reading import BothSystems, Unreadable

log = structlog.get_logger(__name__)

Subject, Taker, State = Discrepancy.Subject, Reconciliation.Taker, Reconciliation.State


class NobodysReview(Refused):
    """Who proposed a reconciliation cannot be the one who reviews it."""


def explain(discrepancy_id: int, *, actor: Actor, explanation: str) -> Discrepancy:
    """Say why a confirmed difference is no fault. It holds for these values. Raises `Refused`."""
    if not explanation.strip():
        raise MissingReason("an explanation")
    now = system_clock().now()
    with transaction.atomic():
        discrepancy = _discrepancy(discrepancy_id)
        try:
            discrepancy.explain(explanation, actor.name)
        except WrongState as error:
            raise Refused(str(error)) from error
        discrepancy.save()
        sentence = f"explained {discrepancy.field} of {discrepancy.robot_id}: {explanation}"
        audit.record(actor, "discrepancy_explained", sentence, at=now, detail=_detail(discrepancy))
    return discrepancy


def propose(discrepancy_id: int, taker: str, *, actor: Actor, reason: str) -> Reconciliation:
    """Ask for a review: which system should take the other's row, and why. Raises `Refused`."""
    if not reason.strip():
        raise MissingReason("a reconciliation")
    now = system_clock().now()
    try:
        with transaction.atomic():
            discrepancy = _discrepancy(discrepancy_id)
            if why := why_not(discrepancy, taker):
                raise Refused(why)
            reconciliation = Reconciliation.objects.create(
                discrepancy=discrepancy,
                taker=taker,
                reason=reason,
                legacy=discrepancy.legacy,
                new=discrepancy.new,
                proposed_by=actor.name,
                proposed_at=now,
            )
            _audited(reconciliation, actor, "proposed", reason, now)
    except IntegrityError as error:
        raise Refused("a reconciliation of this is open already") from error
    return reconciliation


def propose_all(discrepancies: Iterable[Discrepancy], *, actor: Actor) -> tuple[int, list[str]]:
    """Propose one for each row that differs and has none: `new` takes legacy's, or the other way round where only that
    can be. Returns how many, and a sentence for each that cannot be made."""
    proposed, without, rows = 0, [], set()
    for one in discrepancies:
        if (one.subject, one.key) in rows or one.reconciliations.filter(state__in=Reconciliation.OPEN).exists():
            continue
        taker = next((taker for taker in (Taker.NEW, Taker.LEGACY) if not why_not(one, taker)), None)
        if taker is None:
            without.append(f"{one.robot_id}, {one.field}: {why_not(one, Taker.NEW)}")
            continue
        rows.add((one.subject, one.key))
        propose(one.pk, taker, actor=actor, reason="found by data_integrity_check --fix")
        proposed += 1
    return proposed, without


def why_not(discrepancy: Discrepancy, taker: str) -> str:
    """Why a discrepancy cannot be reconciled this way; empty when it can be proposed."""
    if discrepancy.state not in (Discrepancy.State.CONFIRMED, Discrepancy.State.EXPLAINED):
        return f"discrepancy {discrepancy.pk} is {discrepancy.get_state_display()}, not confirmed"
    if discrepancy.subject == Subject.ROBOT:
        return "a robot is derived from its heartbeats: `manage.py rebuild_state` derives it anew"
    lacking = discrepancy.field == "row"
    if taker == Taker.NEW and lacking and discrepancy.legacy == "absent":
        return "legacy has nothing that new could take"
    if taker == Taker.LEGACY and lacking and discrepancy.new == "absent":
        return "new has nothing that legacy could take"
    if taker == Taker.LEGACY and discrepancy.subject == Subject.DEPLOYMENT:
        return "legacy's API can take no deployment, only make one by a rollback"
    if discrepancy.subject == Subject.ROW and not can_be_read_alone(discrepancy.robot_id):
        return "the row has no id that could be asked for"
    return ""


def review(reconciliation_id: int, *, actor: Actor, approved: bool, reason: str = "") -> Reconciliation:
    """Approve or reject. Who proposed it may only reject it. Raises `Refused`."""
    if not approved and not reason.strip():
        raise MissingReason("a rejection")
    now = system_clock().now()
    with transaction.atomic():
        reconciliation = _reconciliation(reconciliation_id)
        if approved and reconciliation.proposed_by == actor.name:
            raise NobodysReview("somebody else than who proposed it has to review it")
        try:
            if approved:
                reconciliation.approve(actor.name, now)
            else:
                reconciliation.reject(actor.name, now, reason)
        except WrongState as error:
            raise Refused(str(error)) from error
        reconciliation.save()
        _audited(reconciliation, actor, "approved" if approved else "rejected", reason, now)
    return reconciliation


def apply(reconciliation_id: int) -> Reconciliation:
    """Do what was approved, if the values are still those that were reviewed, and read both systems again.

    Safe to call twice. It says itself what became of it: applied, void or failed.
    """
    with transaction.atomic():
        reconciliation = _reconciliation(reconciliation_id)
        if reconciliation.state != State.APPROVED:
            return reconciliation
    discrepancy = reconciliation.discrepancy
    try:
        with BothSystems() as systems:
            before = _read(systems, discrepancy)
            if (changed := _changed(reconciliation, before)) is not None:
                return _end(reconciliation, State.VOID, changed)
            _take(reconciliation, before)
            left = _differing(discrepancy, _read(systems, discrepancy))
    except (Refused, Unreadable, OSError) as error:
        return _end(reconciliation, State.FAILED, str(error))
    if left:
        told = ", ".join(f"{one.field}: legacy {one.legacy!r}, new {one.new!r}" for one in left[:5])
        return _end(reconciliation, State.FAILED, f"it was done, and they still differ: {told}")
    return _end(reconciliation, State.APPLIED, "")


def apply_approved() -> list[Reconciliation]:
    """Apply every approved reconciliation, the oldest first."""
    waiting = Reconciliation.objects.filter(state=State.APPROVED).order_by("id").values_list("pk", flat=True)
    return [apply(pk) for pk in list(waiting)]


def _take(reconciliation: Reconciliation, reading: Reading) -> None:
    legacy, new = reading
    deployment = reconciliation.discrepancy.subject == Subject.DEPLOYMENT
    if reconciliation.taker == Taker.NEW:
        if legacy is None:
            raise Refused("legacy has nothing that new could take")
        if deployment:
            taking.new_takes_deployment(legacy)
        else:
            taking.new_takes_row(legacy, new)
    elif new is None:
        raise Refused("new has nothing that legacy could take")
    else:
        taking.legacy_takes_row(new, now=system_clock().now())


def _read(systems: BothSystems, discrepancy: Discrepancy) -> Reading:
    if discrepancy.subject == Subject.DEPLOYMENT:
        rows = systems.deployments()
        return rows.legacy.get(discrepancy.robot_id), rows.new.get(discrepancy.robot_id)
    return in_their_time(discrepancy.robot_id, systems.row(discrepancy.robot_id))


def _differing(discrepancy: Discrepancy, reading: Reading) -> list[Difference]:
    skipped = ("package_path",) if discrepancy.subject == Subject.DEPLOYMENT else ()
    return [one for one in differences(discrepancy.robot_id, *reading) if one.field not in skipped]


def _changed(reconciliation: Reconciliation, reading: Reading) -> str | None:
    """What is not any more as it was reviewed; None when it still is."""
    discrepancy = reconciliation.discrepancy
    now = next((one for one in _differing(discrepancy, reading) if one.field == discrepancy.field), None)
    if now is None:
        return "they do not differ here any more"
    if not Discrepancy(legacy=reconciliation.legacy, new=reconciliation.new).has(now.legacy, now.new):
        return f"the values changed since it was proposed: legacy {now.legacy!r}, new {now.new!r}"
    return None


def _end(reconciliation: Reconciliation, state: str, why: str) -> Reconciliation:
    now = system_clock().now()
    with transaction.atomic():
        reconciliation = _reconciliation(reconciliation.pk)
        if reconciliation.state != State.APPROVED:
            return reconciliation
        if state == State.APPLIED:
            reconciliation.apply(now)
            _fixed(reconciliation.discrepancy, now)
        elif state == State.VOID:
            reconciliation.void(why, now)
        else:
            reconciliation.fail(why, now)
        reconciliation.save()
        _audited(reconciliation, Actor(reconciliation.reviewed_by), reconciliation.state, why, now)
    return reconciliation


def _fixed(discrepancy: Discrepancy, now: datetime) -> None:
    """The whole row is equal, so whatever else differed in it is fixed too."""
    whole = Discrepancy.objects.filter(subject=discrepancy.subject, key=discrepancy.key)
    for one in whole.filter(state__in=[Discrepancy.State.CONFIRMED, Discrepancy.State.EXPLAINED]):
        one.end(now, fixed=True)
        one.save()


def _audited(reconciliation: Reconciliation, actor: Actor, what: str, why: str, now: datetime) -> None:
    one = reconciliation.discrepancy
    sentence = f"{what} a reconciliation of {one.robot_id}, {one.field}: {reconciliation.get_taker_display()}"
    detail = {**_detail(one), "reconciliation": reconciliation.pk, "taker": reconciliation.taker, "why": why}
    audit.record(actor, f"reconciliation_{what}", sentence, at=now, detail=detail)
    log.info("reconciliation", what=what, id=reconciliation.pk, robot=one.robot_id[:128], field=one.field, why=why)


def _detail(one: Discrepancy) -> dict[str, object]:
    return {"discrepancy": one.pk, "legacy": repr(one.legacy)[:500], "new": repr(one.new)[:500]}


def _discrepancy(pk: int) -> Discrepancy:
    discrepancy = Discrepancy.objects.select_for_update().filter(pk=pk).first()
    if discrepancy is None:
        raise Refused(f"there is no discrepancy {pk}")
    return discrepancy


def _reconciliation(pk: int) -> Reconciliation:
    found = Reconciliation.objects.select_for_update(of=("self",)).select_related("discrepancy").filter(pk=pk).first()
    if found is None:
        raise Refused(f"there is no reconciliation {pk}")
    return found
