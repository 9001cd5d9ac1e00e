"""Letting a phase end before its time: two people may, nobody alone."""

import structlog
from django.db import transaction

from migration import audit, proposing
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import MissingReason, Refused
from migration.models import PhaseRun, Proposal

log = structlog.get_logger(__name__)


def shorten(*, actor: Actor, reason: str) -> Proposal:
    """Propose that the phase's time ends now; the second person's call ends it. Every other gate stays as it is.

    Raises `MissingReason`, `Refused`.
    """
    if not reason.strip():
        raise MissingReason("shortening a phase")
    run = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE).first()
    if run is None:
        raise Refused("no phase is active")
    if not run.has_arrived:
        raise Refused(f"{run.percent} of {run.phase.percent} % reached: the phase's time has not begun")
    proposal, agreed = proposing.propose_or_confirm(run, Proposal.Kind.SHORTEN, run.slug, actor=actor, reason=reason)
    if agreed:
        now = system_clock().now()
        with transaction.atomic():
            run = PhaseRun.objects.select_for_update().get(pk=run.pk)
            run.shorten(now)
            run.save()
            said = f"shortened {run.phase.name} with {proposal.proposed_by}: {proposal.reason}"
            audit.record(actor, "phase_shortened", said, at=now, detail={"run": run.pk, "proposal": proposal.pk})
        log.info("phase.shortened", run=run.pk, by=[proposal.proposed_by, actor.name])
    return proposal
