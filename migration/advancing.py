"""Taking the fleet to the next phase: evidence, votes, guards, a second person where one is needed, then a shift."""

from datetime import timedelta

import structlog
from kombu.exceptions import OperationalError

from migration import (
    configuring,
    consulting,
    foreseeing,
    freezing,
    guarding,
    judging,
    proposing,
    ramping,
    rehearsing,
    routing,
)
from migration.actors import Actor
from migration.clock import Clock, system_clock
from migration.drivers.errors import RouteError
from migration.errors import Refused
from migration.models import PhaseRun, Proposal, Ramp, Rollback, TrafficShift
from migration.recording import open_run
from migration.rules.phases import PHASES, Phase, next_phase
from migration.rules.ramps import Step, steps_into
from migration.rules.sequential import Verdict

log = structlog.get_logger(__name__)

COOL_DOWN = timedelta(minutes=30)

#: what waits after somebody asked for a step: a shift on its way, or a proposal for its second person
Order = TrafficShift | Proposal


def advance(*, actor: Actor, reason: str = "") -> Order:
    """Ask for the next phase. Every gate is judged again here, on the evidence of this moment.

    Where the settings of the next phase ask for two people, the first call makes a proposal, and the second one, by
    somebody else, the shift. Raises `Refused` with everything that stands in the way; nothing has moved then.
    """
    clock = system_clock()
    run = active_run()
    following = next_phase(run.phase)
    if following is None:
        raise Refused(f"{run.phase.name} is the last phase")
    settings = configuring.settings_for(following.slug)
    judged = judging.judge(run, clock)
    judging.keep(run, judged, clock.now())
    steps = steps_into(following, settings, run.percent)
    reasons = [one.sentence for one in judged if not one.opens]
    reasons += hindrances(run, following, steps[0], clock)
    if reasons:
        raise Refused(f"not yet to {following.name}: {'; '.join(reasons)}", reasons)
    because = reason or f"gates and votes of {run.phase.name} passed"
    if settings.needs_two_people:
        proposal, agreed = proposing.propose_or_confirm(
            run, Proposal.Kind.ADVANCE, following.slug, actor=actor, reason=because
        )
        if not agreed:
            return proposal
    step = {"from": run.percent, "to": steps[0].percent, "phase": following.slug, "cohort": steps[0].cohort}
    answers = consulting.consult(settings, "before", run=run, step=step)
    objections = [f"{one.name}: {one.sentence}" for one in answers if one.verdict is not Verdict.PASS]
    if objections:
        raise Refused(f"not yet to {following.name}: {'; '.join(objections)}", objections)
    shift = ramping.begin(following, settings, actor=actor, reason=because, from_percent=run.percent)
    enqueue(shift)
    return shift


def hindrances(run: PhaseRun, to: Phase, step: Step | None, clock: Clock) -> list[str]:
    """What forbids a step forward now whatever the gates say: a pause, a freeze, a cool-down, a ramp on its way."""
    found = []
    if run.is_paused:
        found.append(f"paused by {run.paused_by}: {run.pause_reason}")
    if remaining := cool_down_remaining():
        found.append(f"cool-down after a rollback: {remaining.total_seconds():,.0f} s left")
    if Ramp.objects.filter(state=Ramp.State.RUNNING).exclude(to_phase=to.slug).exists():
        found.append("a ramp is on its way")
    return [*found, *guarding.why_locked(), *rehearsing.why_locked(), *frozen_for(to, step, clock)]


def frozen_for(to: Phase, step: Step | None, clock: Clock) -> list[str]:
    """Why the step is frozen: windows for everything, and those of sites whose robots it would move."""
    now = clock.now()
    if step is None or not freezing.sites_frozen(now):
        return freezing.frozen_now(now, ())
    try:
        current = routing.route_file().read().plan
    except RouteError:
        return freezing.frozen_now(now, freezing.sites_frozen(now))
    members, robots = foreseeing.members_of(step.cohort) if step.cohort else ([], 0)
    moved = foreseeing.foresee(current, foreseeing.plan_after(current, to, step.percent, members, robots))
    return freezing.frozen_now(now, moved.sites)


def enqueue(shift: TrafficShift) -> None:
    """Hand the shift to a worker. Without a broker it waits and says so; the route agent hands it over later."""
    from migration.tasks import apply_shift  # the task imports the use cases, which import this

    try:
        apply_shift.delay(shift.pk)
    except OperationalError as error:
        log.warning("shift.waits_for_broker", shift=shift.pk, error=str(error))


def active_run() -> PhaseRun:
    """The run of the phase the fleet is in; opens Preparation the first time."""
    run = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE).first()
    return run or open_run(PHASES[0].slug, system_clock().now())


def cool_down_remaining() -> timedelta | None:
    """How long forward steps stay locked after the latest rollback, or None."""
    clock = system_clock()
    latest = Rollback.objects.exclude(state=Rollback.State.FAILED).first()
    if latest is None:
        return None
    left = latest.decided_at + clock.scaled(COOL_DOWN) - clock.now()
    return left if left > timedelta(0) else None
