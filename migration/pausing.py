"""Pausing and resuming the way forward. The way back is open all the time."""

from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import transaction

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import MissingReason, Refused, WrongState
from migration.models import PhaseRun, Ramp

log = structlog.get_logger(__name__)


def pause(*, actor: Actor, reason: str) -> PhaseRun:
    """Hold every step forward: the next phase and the next step of a ramp. What is on its way goes through.

    Raises `MissingReason`, `Refused` if it is paused already.
    """
    return _change(actor, reason, "paused", lambda run, now: run.pause(actor.name, reason, now))


def resume(*, actor: Actor, reason: str) -> PhaseRun:
    """Let it go on. Nothing moves by that: the gates of the next step are asked as ever. Raises `Refused`."""

    def go_on(run: PhaseRun, now: datetime) -> None:
        run.resume()
        Ramp.objects.filter(state=Ramp.State.RUNNING).update(resumed_at=now)

    return _change(actor, reason, "resumed", go_on)


def _change(actor: Actor, reason: str, done: str, what: Callable[[PhaseRun, datetime], None]) -> PhaseRun:
    if not reason.strip():
        raise MissingReason("pausing" if done == "paused" else "resuming")
    now = system_clock().now()
    with transaction.atomic():
        run = PhaseRun.objects.select_for_update().filter(state=PhaseRun.State.ACTIVE).first()
        if run is None:
            raise Refused("no phase is active")
        try:
            what(run, now)
        except WrongState as error:
            raise Refused(str(error)) from error
        run.save()
        audit.record(actor, f"phase_{done}", f"{done} {run.phase.name}: {reason}", at=now, detail={"run": run.pk})
    log.info(f"phase.{done}", run=run.pk, actor=actor.name)
    return run
