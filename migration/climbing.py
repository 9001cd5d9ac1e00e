"""Going up a ramp by itself: a step that has baked is followed by the next only when nothing stands in the way."""

from datetime import datetime, timedelta

import structlog

from migration import advancing, configuring, consulting, evidence, judging, pausing, ramping
from migration.actors import Actor
from migration.clock import Clock, system_clock
from migration.errors import Refused
from migration.models import HookAnswer, PhaseRun, Ramp, TrafficShift
from migration.rules.gates import left_behind
from migration.rules.ramps import Move, next_move
from migration.rules.sequential import Verdict

log = structlog.get_logger(__name__)
CONTROL_PLANE = Actor("control plane")

#: what a step inside a phase needs to pass; its time and its votes were given when the phase was entered
STEP_GATES = ("stability", "performance", "accuracy", "way_back", "external", "monitoring", "watch")
#: an external check that did not agree after a step is asked again this often (real time)
ASK_AGAIN_AFTER = timedelta(seconds=15)


def tend() -> None:
    """One look at the ramp, by the route agent: idempotent, and safe to repeat after a kill at any point."""
    clock = system_clock()
    run = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE).first()
    ramp = ramping.running()
    if run is not None:
        _ask_again(run, clock.now())
    if ramp is None:
        return
    latest = ramp.shifts.order_by("-id").first()
    # Read after its shift: a step that was observed in between would be taken once more.
    ramp.refresh_from_db()
    if not ramp.is_running:
        return
    if latest is not None and latest.is_waiting:
        _say(ramp, f"shift {latest.pk}, which waits for {latest.waits_for}")
    elif ramp.reached < 0:
        ramp.fail(latest.failure if latest else "its first step was never asked for", clock.now())
        ramp.save()
    elif run is None or run.slug != ramp.to_phase:
        ramp.overtake(clock.now())
        ramp.save()
    elif (
        latest is not None
        and latest.state == TrafficShift.State.FAILED
        and not run.is_paused
        and _is_next(ramp, latest)
    ):
        # It stops by itself: somebody must look before it is tried again.
        pausing.pause(actor=CONTROL_PLANE, reason=f"shift {latest.pk} failed: {latest.failure}")
    else:
        _go_on(ramp, run, clock)


def held_by(ramp: Ramp, run: PhaseRun, clock: Clock) -> list[str]:
    """What holds the next step: gates on the evidence of this moment, and whatever forbids a step at all."""
    step = ramp.upcoming
    if step is None or ramp.reached_at is None:
        return []
    judged = judging.judge(run, clock)
    found = [one.sentence for one in judged if one.gate in STEP_GATES and not one.opens]
    served = evidence.moved(run, clock.now(), ramp.reached_at)
    heard = left_behind(evidence.as_served(served))
    if heard.verdict is not Verdict.PASS:
        found.append(f"since the last step: {heard.sentence}")
    return found + advancing.hindrances(run, ramp.phase, step, clock)


def complete(*, actor: Actor, reason: str) -> TrafficShift:
    """Take all of the remaining way now, without more time to bake. Raises `Refused` with what holds a step."""
    ramp, run = ramping.running(), PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE).first()
    if ramp is None or run is None:
        raise Refused("no ramp is on its way")
    if reasons := held_by(ramp, run, system_clock()):
        raise Refused(f"not yet: {'; '.join(reasons)}", reasons)
    shift = ramping.complete(actor=actor, reason=reason)
    advancing.enqueue(shift)
    return shift


def begin_again(*, actor: Actor, reason: str) -> TrafficShift:
    """Take the rest of the way after a ramp was cancelled. Raises `Refused` with what holds a step."""
    run, clock = advancing.active_run(), system_clock()
    if ramping.running() is not None:
        raise Refused("a ramp is on its way", ["a ramp is on its way"])
    judged = judging.judge(run, clock)
    reasons = [one.sentence for one in judged if one.gate in STEP_GATES and not one.opens]
    steps = ramping.steps_into(run.phase, configuring.settings_for(run.slug), run.percent)
    reasons += advancing.hindrances(run, run.phase, steps[0], clock)
    if reasons:
        raise Refused(f"not yet: {'; '.join(reasons)}", reasons)
    shift = ramping.begin_again(actor=actor, reason=reason)
    advancing.enqueue(shift)
    return shift


def _go_on(ramp: Ramp, run: PhaseRun, clock: Clock) -> None:
    now = clock.now()
    bake = clock.scaled(timedelta(seconds=ramp.bake_seconds))
    reached_at = ramp.reached_at or now
    due = now >= reached_at + bake
    move, why = next_move(
        steps=ramp.plan,
        reached=ramp.reached,
        reached_at=reached_at,
        bake=bake,
        now=now,
        held_by=held_by(ramp, run, clock) if due else [],
    )
    if move is Move.STEP:
        why = _step(ramp, run)
    _say(ramp, why)


def _step(ramp: Ramp, run: PhaseRun) -> str:
    step = ramp.upcoming
    if step is None:
        return ""
    told = {"from": run.percent, "to": step.percent, "phase": ramp.to_phase, "cohort": step.cohort}
    settings = configuring.settings_for(ramp.to_phase)
    answers = consulting.consult(settings, "before", run=run, step=told)
    objections = [f"{one.name}: {one.sentence}" for one in answers if one.verdict is not Verdict.PASS]
    if objections:
        return "; ".join(objections)
    try:
        shift = ramping.request_step(ramp, ramp.reached + 1, actor=Actor(ramp.requested_by))
    except Refused as refused:
        return str(refused)
    advancing.enqueue(shift)
    return f"shift {shift.pk}, which waits for {shift.waits_for}"


def _is_next(ramp: Ramp, shift: TrafficShift) -> bool:
    """Whether the failed shift is the step that is due, and nobody resumed the ramp since."""
    resumed = ramp.resumed_at
    return (
        shift.ramp_step is not None
        and shift.ramp_step > ramp.reached
        and not (resumed and resumed > shift.requested_at)
    )


def _ask_again(run: PhaseRun, now: datetime) -> None:
    """Ask the checks again that did not agree after the last step: what was inconclusive may be clear by now."""
    latest = HookAnswer.objects.filter(run=run, moment="after").first()
    if latest is None or now - latest.at < ASK_AGAIN_AFTER:
        return
    settings = configuring.settings_for(run.slug)
    answers = consulting.asked_before(run, settings, ("after",))
    if any(answer.verdict is not Verdict.PASS for answer in answers):
        step = {"from": run.percent, "to": run.percent, "phase": run.slug, "cohort": ""}
        consulting.consult(settings, "after", run=run, step=step)


def _say(ramp: Ramp, waits_for: str) -> None:
    """Show what it waits for."""
    if ramp.waits_for != waits_for:
        Ramp.objects.filter(pk=ramp.pk, state=Ramp.State.RUNNING).update(waits_for=waits_for)
        log.info("ramp.waits", ramp=ramp.pk, waits_for=waits_for)
