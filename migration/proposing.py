"""What takes two people: one proposes, another one confirms, each by their own login."""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.configuring import judged_now
from migration.errors import MissingReason, Refused, WrongState
from migration.models import PhaseRun, Proposal

log = structlog.get_logger(__name__)

#: how long a proposal waits for its second person (real time: somebody was asked to come)
PROPOSAL_LIVES = timedelta(minutes=15)


def propose_or_confirm(
    run: PhaseRun, kind: Proposal.Kind, to_phase: str, *, actor: Actor, reason: str
) -> tuple[Proposal, bool]:
    """Propose, or confirm what another person proposed. Returns the proposal and whether two people now agree.

    Raises `Refused` for the same person again, for somebody without a login, and for a confirmation of something else.
    """
    if not actor.is_login:
        raise Refused("this takes two people, each with their own login: use the page or the API", ["a second person"])
    now = system_clock().now()
    void_stale(run, now)
    try:
        with transaction.atomic():
            waiting = Proposal.objects.select_for_update().filter(kind=kind, state=Proposal.State.WAITING).first()
            if waiting is None:
                return _propose(run, kind, to_phase, actor=actor, reason=reason), False
            waiting.confirm(actor.name, now)
            waiting.save()
            said = f"confirmed what {waiting.proposed_by} proposed: {waiting.get_kind_display()} ({waiting.to_phase})"
            audit.record(actor, "proposal_confirmed", said, at=now, detail={"proposal": waiting.pk})
    except WrongState as error:
        raise Refused(str(error), ["a second person"]) from error
    except IntegrityError as error:
        raise Refused("somebody proposed the same at this moment: look at it, then confirm it") from error
    return waiting, True


def waiting_for(kind: Proposal.Kind) -> Proposal | None:
    """The proposal of this kind that waits for a second person."""
    return Proposal.objects.filter(kind=kind, state=Proposal.State.WAITING).first()


def cancel(proposal_id: int, *, actor: Actor, reason: str) -> Proposal:
    """Take a proposal back. Raises `Refused`."""
    if not reason.strip():
        raise MissingReason("cancelling a proposal")
    now = system_clock().now()
    with transaction.atomic():
        proposal = Proposal.objects.select_for_update().filter(pk=proposal_id).first()
        if proposal is None:
            raise Refused(f"there is no proposal {proposal_id}")
        try:
            proposal.cancel(reason, now)
        except WrongState as error:
            raise Refused(str(error)) from error
        proposal.save()
        audit.record(actor, "proposal_cancelled", f"cancelled proposal {proposal.pk}: {reason}", at=now)
    return proposal


def void_stale(run: PhaseRun | None, now: datetime) -> None:
    """Void proposals that nobody confirmed in time, or that judged another build, other settings, another phase."""
    for proposal in Proposal.objects.filter(state=Proposal.State.WAITING):
        why = ""
        if now > proposal.deadline_at:
            why = "nobody confirmed it in time"
        elif run is None or proposal.run_id != run.pk:
            why = "the phase it was made in is over"
        elif proposal.judged != judged_now(run):
            why = "the build, the settings or the evidence changed"
        if why:
            _void(proposal, why, now)


def _propose(run: PhaseRun, kind: Proposal.Kind, to_phase: str, *, actor: Actor, reason: str) -> Proposal:
    now = system_clock().now()
    proposal = Proposal.objects.create(
        run=run,
        kind=kind,
        to_phase=to_phase,
        reason=reason,
        proposed_by=actor.name,
        proposed_at=now,
        deadline_at=now + PROPOSAL_LIVES,
        judged=judged_now(run),
    )
    said = f"proposed: {proposal.get_kind_display()} ({to_phase}); a second person must confirm"
    audit.record(actor, "proposal_made", said, at=now, detail={"proposal": proposal.pk, "reason": reason})
    log.info("proposal.made", proposal=proposal.pk, kind=kind, to=to_phase, actor=actor.name)
    return proposal


def _void(proposal: Proposal, why: str, now: datetime) -> None:
    with transaction.atomic():
        locked = Proposal.objects.select_for_update().get(pk=proposal.pk)
        if locked.state != Proposal.State.WAITING:
            return
        locked.void(why, now)
        locked.save()
        audit.record(Actor("control plane"), "proposal_voided", f"voided proposal {proposal.pk}: {why}", at=now)
