"""Taking the fleet to the next phase: evidence, votes, guards, then a shift."""

from datetime import timedelta

import structlog
from kombu.exceptions import OperationalError

from migration import judging, shifting
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import PhaseRun, Rollback, TrafficShift
from migration.recording import open_run
from migration.rules.phases import PHASES, next_phase
from migration.syncing.way_back import way_back

log = structlog.get_logger(__name__)

COOL_DOWN = timedelta(minutes=30)


def advance(*, actor: Actor, reason: str = "") -> TrafficShift:
    """Ask for the next phase. Every gate is judged again here, on the evidence of this moment.

    Raises `Refused` with everything that stands in the way; nothing has changed then.
    """
    clock = system_clock()
    run = active_run()
    following = next_phase(run.phase)
    if following is None:
        raise Refused(f"{run.phase.name} is the last phase")
    judged = judging.judge(run, clock)
    judging.keep(run, judged, clock.now())
    reasons = [one.sentence for one in judged if not one.opens]
    if remaining := cool_down_remaining():
        reasons.append(f"cool-down after a rollback: {remaining.total_seconds():,.0f} s left")
    if not (back := way_back(clock.now())).whole:
        reasons.append(f"the way back is broken: {back.cause}")
    if reasons:
        raise Refused(f"not yet to {following.name}: {'; '.join(reasons)}", reasons)
    shift = shifting.request(following, actor=actor, reason=reason or f"gates and votes of {run.phase.name} passed")
    enqueue(shift)
    return shift


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
