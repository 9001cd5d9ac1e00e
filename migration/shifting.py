"""Moving traffic: request → apply → acknowledge → observe. The only writers of `TrafficShift`."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction

from migration import audit, consulting, routing
from migration.actors import Actor
from migration.clock import system_clock
from migration.configuring import settings_for
from migration.drivers.errors import RouteError
from migration.errors import MissingReason, Refused, WrongState
from migration.models import Cohort, PhaseRun, Pin, Ramp, TrafficShift
from migration.pinning import pins
from migration.recording import open_run
from migration.rules.phases import Phase, phase_of
from migration.rules.plans import RoutePlan
from migration.rules.sequential import Verdict

log = structlog.get_logger(__name__)

#: how long a shift may wait for a worker before it says so (real time: a person waits for it)
REQUEST_LIVES = timedelta(seconds=30)
#: how long proxies and probes may take
CONFIRM_SECONDS = 2.0


def request(
    to: Phase,
    *,
    actor: Actor,
    reason: str,
    percent: int | None = None,
    ramp: Ramp | None = None,
    ramp_step: int | None = None,
    cohort: Cohort | None = None,
    pin_changes: Mapping[str, str | None] | None = None,
) -> TrafficShift:
    """Ask for the split of a phase, for one step into it, or for robots by name.

    Raises `Refused` while another shift is on its way or a latch holds the route.
    """
    file = routing.route_file()
    if latch := file.latched():
        raise Refused(f"latched by {latch.by}: {latch.because}. Release the latch first", ["latched"])
    routed = file.read()
    now = system_clock().now()
    kind = TrafficShift.Kind.PINS if pin_changes else TrafficShift.Kind.RAMP if ramp else TrafficShift.Kind.PHASE
    shift = TrafficShift(
        kind=kind,
        ramp=ramp,
        ramp_step=ramp_step,
        cohort=cohort,
        pin_changes=dict(pin_changes or {}),
        plan_before=routed.plan.to_dict(),
        from_phase=routed.plan.phase,
        to_phase=to.slug,
        from_percent=routed.plan.percent,
        to_percent=to.percent if percent is None else percent,
        requested_by=actor.name,
        reason=reason,
        requested_at=now,
        deadline_at=now + REQUEST_LIVES,
        based_on_version=routed.version,
    )
    try:
        with transaction.atomic():
            shift.save(force_insert=True)
            sentence = f"asked for {shift.words}"
            audit.record(actor, "shift_requested", sentence, at=now, detail={"shift": shift.pk, "reason": reason})
    except IntegrityError as error:
        raise Refused("another shift is on its way", ["another shift is on its way"]) from error
    log.info("shift.requested", shift=shift.pk, to=to.slug, percent=to.percent, actor=actor.name)
    return shift


def apply(shift_id: int) -> TrafficShift:
    """Write the route, wait for every proxy, observe, and open the phase. Called by a worker; safe to call twice."""
    clock = system_clock()
    with transaction.atomic():
        shift = TrafficShift.objects.select_for_update().get(pk=shift_id)
        try:
            shift.apply(clock.now())
        except WrongState:
            return shift
        shift.save()
    try:
        plan = plan_of(shift, routing.route_file().read().plan)
        routed = routing.route_file().write(
            plan, because=shift.reason, by=shift.requested_by, expected_version=shift.based_on_version
        )
    except RouteError as error:
        return _fail(shift_id, str(error))
    return _settle(shift_id, routed.version)


def resume(shift: TrafficShift) -> TrafficShift:
    """Finish or fail a shift whose worker disappeared: what the route file holds decides."""
    routed = routing.route_file().read()
    # What is in force is what the shift wants, and was written after the shift was decided on.
    wrote_it = routed.version > shift.based_on_version and routed.plan == plan_of(
        shift, _plan_before(shift, routed.plan)
    )
    if not wrote_it:
        return _fail(shift.pk, "the worker that applied it disappeared before it wrote the route")
    return _settle(shift.pk, routed.version)


def cancel(shift_id: int, *, actor: Actor, reason: str) -> TrafficShift:
    """Take back a shift that no worker has taken yet. Raises `Refused` with what it is instead."""
    if not reason.strip():
        raise MissingReason("cancelling a shift")
    now = system_clock().now()
    with transaction.atomic():
        shift = TrafficShift.objects.select_for_update().filter(pk=shift_id).first()
        if shift is None:
            raise Refused(f"there is no shift {shift_id}")
        try:
            shift.cancel(reason, now)
        except WrongState as error:
            raise Refused(str(error)) from error
        shift.save()
        audit.record(actor, "shift_cancelled", f"cancelled shift {shift.pk}: {reason}", at=now)
    return shift


def expire(shift_id: int) -> TrafficShift:
    """Fail a shift that no worker took before its deadline."""
    return _fail(shift_id, "no worker took it in time")


def _settle(shift_id: int, version: int) -> TrafficShift:
    """Confirm a route that was written, then either open the phase or put the route back."""
    shift = TrafficShift.objects.get(pk=shift_id)
    routed = routing.route_file().read()
    seen = routing.confirm(routed, deadline_seconds=CONFIRM_SECONDS)
    if not seen.is_observed:
        return _put_back(shift, version, "; ".join(seen.late))
    if objections := _objections(shift, "during"):
        return _put_back(shift, version, f"vetoed by an external check: {'; '.join(objections)}")
    applying_at = shift.applying_at or shift.requested_at
    with transaction.atomic():
        shift = TrafficShift.objects.select_for_update().get(pk=shift_id)
        if not shift.is_waiting:
            return shift
        if shift.state == TrafficShift.State.APPLYING:
            at = applying_at + timedelta(seconds=seen.acknowledged_seconds or 0.0)
            shift.acknowledge(version, {name: round(took, 4) for name, took in seen.acknowledged.items()}, at)
        observed_at = applying_at + timedelta(seconds=seen.observed_seconds or 0.0)
        shift.observe(seen.observed_percent, observed_at)
        shift.save()
        _follow(shift)
        sentence = f"confirmed {shift.words} in {shift.observed_seconds:.2f} s"
        detail = {"shift": shift.pk, "version": version, "acknowledged": shift.acknowledgements}
        audit.record(Actor(shift.requested_by), "shift_observed", sentence, at=observed_at, detail=detail)
    log.info("shift.observed", shift=shift.pk, percent=shift.to_percent, seconds=shift.observed_seconds)
    _objections(shift, "after")
    return shift


def _objections(shift: TrafficShift, moment: str) -> list[str]:
    """Ask the external checks of this moment; a sentence for each that did not agree. Each is kept with its answer."""
    run = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE).first()
    if run is None or shift.kind == TrafficShift.Kind.PINS:
        return []
    step = {"from": shift.from_percent, "to": shift.to_percent, "phase": shift.to_phase, "shift": shift.pk}
    answers = consulting.consult(settings_for(shift.to_phase), moment, run=run, step=step, shift=shift)
    return [f"{answer.name}: {answer.sentence}" for answer in answers if answer.verdict is not Verdict.PASS]


def plan_of(shift: TrafficShift, current: RoutePlan) -> RoutePlan:
    """What the proxies have to do once the shift is through. Who went over by name before stays over."""
    to, cohort = phase_of(shift.to_phase), dict(current.cohort)
    pinned = {**pins(), **shift.pin_changes}
    if shift.cohort:
        cohort = {**dict.fromkeys(shift.cohort.members, to.slug), **cohort}
    return routing.plan_for(
        to,
        {key: side for key, side in pinned.items() if side is not None},
        percent=shift.to_percent,
        cohort=cohort,
        robots=shift.cohort.robots if shift.cohort else current.robots,
    )


def _plan_before(shift: TrafficShift, otherwise: RoutePlan) -> RoutePlan:
    """The plan that the shift was decided on; shifts of earlier builds did not keep it."""
    return RoutePlan.from_dict(shift.plan_before) if shift.plan_before else otherwise


def _follow(shift: TrafficShift) -> None:
    """The traffic is there: pins are facts now, a ramp has got one step further, or the phase begins."""
    now = system_clock().now()
    for key, side in shift.pin_changes.items():
        _keep_pin(shift, key, side, now)
    if shift.kind != TrafficShift.Kind.PINS:
        _open_phase(shift)
        _climb(shift, now)


def _keep_pin(shift: TrafficShift, key: str, side: str | None, now: datetime) -> None:
    if side is None:
        Pin.objects.filter(key=key).delete()
    else:
        made = {"side": side, "reason": shift.reason, "pinned_by": shift.requested_by, "pinned_at": now}
        Pin.objects.update_or_create(key=key, defaults=made)


def _climb(shift: TrafficShift, now: datetime) -> None:
    """The run knows how far it is; its evidence and its time count from the last step."""
    run = PhaseRun.objects.select_for_update().get(state=PhaseRun.State.ACTIVE)
    run.reach(shift.to_percent)
    ramp = Ramp.objects.select_for_update().filter(pk=shift.ramp_id, state=Ramp.State.RUNNING).first()
    if ramp is not None and shift.ramp_step is not None:
        ramp.observe(shift.ramp_step, now)
        ramp.save()
        if not ramp.is_running:
            run.begin_again(now)
    run.save()


def _open_phase(shift: TrafficShift) -> None:
    """The traffic is there: the phase it left is complete, the one it reached begins."""
    now = system_clock().now()
    run = PhaseRun.objects.select_for_update().filter(state=PhaseRun.State.ACTIVE).first()
    if run is not None:
        if run.slug == shift.to_phase:
            return
        run.complete(now)
        run.save()
    open_run(shift.to_phase, now)


def _put_back(shift: TrafficShift, version: int, why: str) -> TrafficShift:
    """An unconfirmed route is taken back, unless somebody wrote another one meanwhile (a rollback)."""
    before = routing.plan_for(phase_of(shift.from_phase), pins(), percent=shift.from_percent)
    plan = _plan_before(shift, before)
    try:
        routing.route_file().write(
            plan, because=f"shift {shift.pk} failed", by="control plane", expected_version=version
        )
    except RouteError as error:
        why = f"{why}; and the route could not be put back: {error}"
    return _fail(shift.pk, why or "it was not confirmed in time")


def _fail(shift_id: int, why: str) -> TrafficShift:
    now = system_clock().now()
    with transaction.atomic():
        shift = TrafficShift.objects.select_for_update().get(pk=shift_id)
        if not shift.is_waiting:
            return shift
        shift.fail(why, now)
        shift.save()
        sentence = f"shift {shift.pk} ({shift.words}) failed: {why}"
        audit.record(Actor(shift.requested_by), "shift_failed", sentence, at=now, detail={"shift": shift.pk})
    log.error("shift.failed", shift=shift.pk, why=why)
    return shift
