"""The way into a phase in steps: begin, go on when a step has baked and nothing objects, cancel, complete.

Pausing and resuming belong to the phase (`migration.pausing`): they hold every step forward.
"""

from datetime import datetime
from typing import Any

import structlog
from django.db import IntegrityError, transaction

from migration import audit, configuring, foreseeing, shifting
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import MissingReason, Refused
from migration.models import Cohort, PhaseRun, Ramp, TrafficShift
from migration.rules.phases import Phase
from migration.rules.ramps import steps_into
from migration.rules.settings import PhaseSettings

log = structlog.get_logger(__name__)
CONTROL_PLANE = Actor("control plane")


def begin(to: Phase, settings: PhaseSettings, *, actor: Actor, reason: str, from_percent: int) -> TrafficShift:
    """Ask for the first step into a phase; it may be the only one. Raises `Refused`."""
    steps = steps_into(to, settings, from_percent)
    if len(steps) == 1:
        return shifting.request(to, actor=actor, reason=reason)
    now = system_clock().now()
    try:
        with transaction.atomic():
            ramp = Ramp.objects.create(
                to_phase=to.slug,
                steps=[{"percent": step.percent, "cohort": step.cohort} for step in steps],
                bake_seconds=settings.bake_seconds,
                requested_by=actor.name,
                reason=reason,
                begun_at=now,
            )
            for step in steps:
                if step.cohort:
                    _freeze(ramp, step.cohort, now)
            said = f"began the ramp to {to.name}: {', '.join(step.words for step in steps)}"
            audit.record(actor, "ramp_begun", said, at=now, detail={"ramp": ramp.pk, "reason": reason})
            return request_step(ramp, 0, actor=actor)
    except IntegrityError as error:
        raise Refused("a ramp is on its way", ["a ramp is on its way"]) from error


def request_step(ramp: Ramp, place: int, *, actor: Actor) -> TrafficShift:
    """Ask for step number `place` of a ramp. Raises `Refused`."""
    step = ramp.plan[place]
    return shifting.request(
        ramp.phase,
        actor=actor,
        reason=f"step {place + 1} of {len(ramp.steps)} to {ramp.phase.name}, {step.words}: {ramp.reason}",
        percent=step.percent,
        ramp=ramp,
        ramp_step=place,
        cohort=ramp.cohorts.filter(name=step.cohort).first() if step.cohort else None,
    )


def named(run: PhaseRun) -> dict[str, Any]:
    """Who went over by name on the way to this run, as `routing.plan_for` takes it: for a route file that was lost."""
    begun = {PhaseRun.State.ACTIVE, PhaseRun.State.COMPLETED}
    slugs = [one.slug for one in PhaseRun.objects.filter(state__in=begun) if one.phase.number <= run.phase.number]
    over = TrafficShift.objects.filter(state=TrafficShift.State.OBSERVED, to_phase__in=slugs, cohort__isnull=False)
    cohort: dict[str, str] = {}
    robots = 0
    for shift in over.select_related("cohort").order_by("id"):
        if shift.cohort:
            cohort = {**dict.fromkeys(shift.cohort.members, shift.to_phase), **cohort}
            robots = shift.cohort.robots
    return {"cohort": cohort, "robots": robots}


def running() -> Ramp | None:
    """The ramp that is on its way."""
    return Ramp.objects.filter(state=Ramp.State.RUNNING).first()


def cancel(*, actor: Actor, reason: str) -> Ramp:
    """Give up the rest of the way. Traffic stays where it is; `begin_again` goes on later. Raises `Refused`."""
    if not reason.strip():
        raise MissingReason("cancelling a ramp")
    now = system_clock().now()
    with transaction.atomic():
        ramp = _running_or_refuse()
        waiting = TrafficShift.objects.filter(state__in=TrafficShift.WAITING).first()
        if waiting:
            raise Refused(
                f"shift {waiting.pk} is on its way: cancel it, or wait for it", ["another shift is on its way"]
            )
        ramp.cancel(reason, now)
        ramp.save()
        run = PhaseRun.objects.select_for_update().filter(state=PhaseRun.State.ACTIVE).first()
        at = f"{run.percent} %" if run else "where it is"
        said = f"cancelled the ramp to {ramp.phase.name}, traffic stays at {at}: {reason}"
        audit.record(actor, "ramp_cancelled", said, at=now, detail={"ramp": ramp.pk})
    log.info("ramp.cancelled", ramp=ramp.pk, actor=actor.name)
    return ramp


def begin_again(*, actor: Actor, reason: str) -> TrafficShift:
    """Take the rest of the way into the active phase after a ramp was cancelled: its steps from here on.

    Raises `Refused`; the same things hold it as any step.
    """
    if not reason.strip():
        raise MissingReason("beginning a ramp again")
    run = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE).first()
    if run is None or run.has_arrived:
        raise Refused("the whole of the phase's split was reached already")
    settings = configuring.settings_for(run.slug)
    return begin(run.phase, settings, actor=actor, reason=reason, from_percent=run.percent)


def complete(*, actor: Actor, reason: str) -> TrafficShift:
    """Take all of the remaining way in one step, without more time to bake. Raises `Refused`.

    The gates of a step still hold it (the caller asks `climbing.held_by`).
    """
    if not reason.strip():
        raise MissingReason("completing a ramp")
    now = system_clock().now()
    with transaction.atomic():
        ramp = _running_or_refuse()
        if ramp.reached < 0:
            raise Refused("its first step has not been observed yet")
        left = ramp.plan[ramp.reached + 1 :]
        if any(step.cohort for step in left[:-1]):
            raise Refused("cohorts go first: they are still to come")
        shift = request_step(ramp, len(ramp.steps) - 1, actor=actor)
        said = f"completes the ramp to {ramp.phase.name} in one step: {reason}"
        audit.record(actor, "ramp_completed", said, at=now, detail={"ramp": ramp.pk, "shift": shift.pk})
    return shift


def _running_or_refuse() -> Ramp:
    ramp = Ramp.objects.select_for_update().filter(state=Ramp.State.RUNNING).first()
    if ramp is None:
        raise Refused("no ramp is on its way")
    return ramp


def _freeze(ramp: Ramp, name: str, now: datetime) -> None:
    """Name the members of a cohort; who is heard later does not belong to it."""
    members, robots = foreseeing.members_of(name)
    Cohort.objects.create(ramp=ramp, name=name, members=members, robots=robots, frozen_at=now)
    log.info("cohort.frozen", ramp=ramp.pk, cohort=name, members=len(members), robots=robots)
