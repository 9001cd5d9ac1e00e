"""Binding a run's evidence to what runs now: another build or other settings are judged from the start."""

from datetime import datetime

import structlog
from django.conf import settings
from django.db import transaction

from migration import audit, configuring
from migration.actors import Actor
from migration.models import PhaseRun

log = structlog.get_logger(__name__)


def rebind(run: PhaseRun, now: datetime) -> PhaseRun:
    """Let the evidence of the run begin again if the build or the settings changed, and say so in the audit log.

    Called by the watchdog's recorder alone: processes that were started at different times may know different builds.
    """
    why = configuring.why_unbound(run)
    if why is None:
        return run
    with transaction.atomic():
        run = PhaseRun.objects.select_for_update().get(pk=run.pk)
        if run.state != PhaseRun.State.ACTIVE or configuring.why_unbound(run) is None:
            return run
        run.rebind(build=settings.NEW_BUILD, settings=configuring.digest_for(run.phase), at=now)
        run.save()
        said = f"let the evidence of {run.phase.name} begin again: {why}"
        audit.record(Actor("watchdog"), "evidence_began_again", said, at=now, detail={"run": run.pk})
    log.info("evidence.began_again", run=run.pk, why=why)
    return run
