"""Moving traffic: request → apply → acknowledge → observe. The only writers of `TrafficShift`."""

from datetime import timedelta

import structlog
from django.db import IntegrityError, transaction

from migration import audit, routing
from migration.actors import Actor
from migration.clock import system_clock
from migration.drivers.errors import RouteError
from migration.errors import MissingReason, Refused, WrongState
from migration.models import PhaseRun, TrafficShift
from migration.pinning import pins
from migration.recording import open_run
from migration.rules.phases import Phase, phase_of

log = structlog.get_logger(__name__)

#: how long a shift may wait for a worker before it says so (real time: a person waits for it)
REQUEST_LIVES = timedelta(seconds=30)
#: how long proxies and probes may take
CONFIRM_SECONDS = 2.0


def request(to: Phase, *, actor: Actor, reason: str) -> TrafficShift:
    """Ask for the split of a phase. Raises `Refused` while another shift is on its way or a latch holds the route."""
    file = routing.route_file()
    if latch := file.latched():
        raise Refused(f"latched by {latch.by}: {latch.because}. Release the latch first", ["latched"])
    routed = file.read()
    now = system_clock().now()
    shift = TrafficShift(
        from_phase=routed.plan.phase,
        to_phase=to.slug,
        from_percent=routed.plan.percent,
        to_percent=to.percent,
        requested_by=actor.name,
        reason=reason,
        requested_at=now,
        deadline_at=now + REQUEST_LIVES,
        based_on_version=routed.version,
    )
    try:
        with transaction.atomic():
            shift.save(force_insert=True)
            sentence = f"asked for {to.name}: {shift.from_percent} → {shift.to_percent} %"
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
    plan = routing.plan_for(phase_of(shift.to_phase), pins())
    try:
        routed = routing.route_file().write(
            plan, because=shift.reason, by=shift.requested_by, expected_version=shift.based_on_version
        )
    except RouteError as error:
        return _fail(shift_id, str(error))
    return _settle(shift_id, routed.version)


def resume(shift: TrafficShift) -> TrafficShift:
    """Finish or fail a shift whose worker disappeared: what the route file holds decides."""
    routed = routing.route_file().read()
    wrote_it = routed.plan.phase == shift.to_phase and routed.version > shift.based_on_version
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
        _open_phase(shift)
        sentence = f"confirmed {shift.from_percent} → {shift.to_percent} % in {shift.observed_seconds:.2f} s"
        detail = {"shift": shift.pk, "version": version, "acknowledged": shift.acknowledgements}
        audit.record(Actor(shift.requested_by), "shift_observed", sentence, at=observed_at, detail=detail)
    log.info("shift.observed", shift=shift.pk, percent=shift.to_percent, seconds=shift.observed_seconds)
    return shift


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
    plan = routing.plan_for(phase_of(shift.from_phase), pins())
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
        sentence = f"shift {shift.pk} to {shift.to_percent} % failed: {why}"
        audit.record(Actor(shift.requested_by), "shift_failed", sentence, at=now, detail={"shift": shift.pk})
    log.error("shift.failed", shift=shift.pk, why=why)
    return shift
