"""The route agent: stores spooled rollbacks, finishes what a worker left behind, keeps the route file in order."""

from datetime import timedelta

import structlog

from migration import (
    advancing,
    alerting,
    climbing,
    cohort_telling,
    guarding,
    pulses,
    ramping,
    recording,
    restoring,
    routing,
    shifting,
)
from migration.clock import system_clock
from migration.drivers.errors import RouteError
from migration.errors import Refused
from migration.models import Alert, PhaseRun, TrafficShift
from migration.pinning import pins

log = structlog.get_logger(__name__)

#: a shift on its way that made no progress for this long has lost its worker (a confirmed one takes under a second)
ABANDONED_AFTER = timedelta(seconds=8)
#: a shift that no worker took is offered again after this
OFFER_AGAIN_AFTER = timedelta(seconds=2)


def tick() -> None:
    """One look: everything here is idempotent and may be repeated after a kill at any point."""
    recording.drain()
    _tend_shifts()
    climbing.tend()
    _tend_route_file()
    guarding.tend()
    _tend_restores()
    cohort_telling.tend()
    pulses.beat("route_agent")


def _tend_restores() -> None:
    try:
        restoring.tend()
    except Refused as refused:
        log.warning("restore.refused", sentence=str(refused))


def _tend_shifts() -> None:
    now = system_clock().now()
    for shift in TrafficShift.objects.filter(state__in=TrafficShift.WAITING):
        if shift.state == TrafficShift.State.REQUESTED:
            if now > shift.deadline_at:
                shifting.expire(shift.pk)
            elif now - shift.requested_at > OFFER_AGAIN_AFTER:
                advancing.enqueue(shift)
        elif shift.applying_at and now - shift.applying_at > ABANDONED_AFTER:
            log.warning("shift.abandoned", shift=shift.pk)
            shifting.resume(shift)


def _tend_route_file() -> None:
    """Rewrite a route file that was lost or broken, from the active phase; say which proxy does not follow."""
    file = routing.route_file()
    try:
        routed = file.read()
    except RouteError as error:
        run = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE).first()
        if run is None or file.latched():
            raise
        log.error("routes.unreadable", error=str(error))
        plan = routing.plan_for(run.phase, pins(), percent=run.percent, **ramping.named(run))
        routed = file.write(plan, because=f"repaired: {error}", by="route agent")
    late = {
        answer["name"]: f"{answer['name']} does not run route {routed.version}: {answer['reason']}"
        for answer in routing.acknowledgements(routed.version)
        if not answer["acknowledged"]
    }
    alerting.tell_only("proxy ", late, severity=Alert.Severity.WARNING, at=system_clock().now())
