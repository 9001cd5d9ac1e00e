"""Releasing the latch of an emergency: an operator's decision, never a database's."""

import structlog
from django.db import transaction

from migration import audit, routing
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import MissingReason, Refused
from migration.models import PhaseRun
from migration.pinning import pins

log = structlog.get_logger(__name__)


def release(*, actor: Actor, reason: str) -> int:
    """Release the latch and route as the active phase asks. Returns the route version.

    Raises `MissingReason`, and `Refused` if nothing is latched or no phase is active.
    """
    if not reason.strip():
        raise MissingReason("releasing the latch")
    file = routing.route_file()
    latch = file.latched()
    if latch is None:
        raise Refused("nothing is latched")
    with transaction.atomic():
        run = PhaseRun.objects.select_for_update().filter(state=PhaseRun.State.ACTIVE).first()
        if run is None:
            raise Refused("no phase is active, so nobody can say where the traffic should go")
        now = system_clock().now()
        file.release(by=actor.name, because=reason)
        routed = file.write(routing.plan_for(run.phase, pins(), percent=run.percent), because=reason, by=actor.name)
        run.begin_again(now)
        run.save()
        audit.record(
            actor,
            "latch_released",
            f"released the latch: {reason}",
            at=now,
            detail={"latched_because": latch.because, "latched_by": latch.by, "version": routed.version},
        )
    log.info("latch.released", actor=actor.name, version=routed.version)
    return routed.version
