"""Taking traffic back: acts first and records after, needs only the disk and the proxy (DESIGN.md, invariant 6)."""

import contextlib
import shlex
import subprocess
import time
import urllib.request
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from migration import first_move, recording, routing, spool
from migration.actors import Actor
from migration.clock import system_clock
from migration.drivers.errors import RouteError, StaleVersion
from migration.drivers.route_file import Routed, RouteFile
from migration.errors import MissingReason, Refused
from migration.rules.phases import PHASES, Phase, emergency_target, phase_of, rollback_target
from migration.rules.plans import RoutePlan

log = structlog.get_logger(__name__)

#: proxies and probes are each asked this long; who is later is named, and the rollback is partial
CONFIRM_SECONDS = 1.0

AUTOMATIC, OPERATOR = "automatic", "operator"
OBSERVED, PARTIAL, FAILED = "observed", "partial", "failed"


@dataclass(frozen=True, slots=True)
class RollbackRecord:
    """What happened, as it goes to the spool and from there into `Rollback`."""

    from_phase: str
    to_phase: str
    from_percent: int
    to_percent: int
    trigger: str
    is_emergency: bool
    reason: str
    actor: str
    decided_at: str
    state: str
    seconds: float | None = None
    budget_seconds: float | None = None
    route_version: int | None = None
    late: list[str] = field(default_factory=list)
    rule: str = ""
    written_seconds: float | None = None
    acknowledged: dict[str, float] = field(default_factory=dict)
    observed_percent: float | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


def roll_back(
    target: str,
    *,
    reason: str,
    actor: Actor,
    trigger: str = OPERATOR,
    leaving: str | None = None,
    rule: str = "",
    evidence: dict[str, Any] | None = None,
) -> RollbackRecord:
    """Take traffic back: `target` is "previous", "emergency", "data_corruption", or a phase to go back to.

    `leaving` is the phase the caller means to leave; if the fleet has left it already, nothing moves twice.
    Raises `MissingReason`, and `Refused` where there is nothing to go back to. A route that could not be written or
    confirmed is no error but a record in state `failed` or `partial`, which can be repeated. `rule` and `evidence` are
    what the watchdog decided by.
    """
    if not reason.strip():
        raise MissingReason("a rollback")
    began, decided_at = time.monotonic(), system_clock().now()
    is_emergency = target in ("emergency", "data_corruption")
    file = routing.route_file()
    made = first_move.take(file.directory) if is_emergency else None
    if made:
        began, decided_at = made.began, made.decided_at
    current = made.before if made else _in_force(file, is_emergency)
    leaves = phase_of(current.phase)
    _refuse_if_left(leaving, leaves)
    goes_to = emergency_target(leaves) if is_emergency else _previous(leaves, target)
    if current.latched and not is_emergency:
        raise Refused("latched at 0 % already: only releasing the latch moves traffic now", ["latched"])

    late: list[str] = []
    state, version, seconds, written, seen = FAILED, None, None, None, None
    acknowledged: dict[str, float] = {}
    try:
        if made:
            routed = made.routed
        elif is_emergency:
            routed = file.latch(RoutePlan.emergency(goes_to.slug), because=reason, by=actor.name)
        else:
            routed = _written_back(file, leaves, goes_to, reason, actor.name)
    except RouteError as error:
        late.append(str(error))
    else:
        version, written = routed.version, made.written_seconds if made else time.monotonic() - began
        asked = time.monotonic() - began
        seen = routing.confirm(routed, deadline_seconds=CONFIRM_SECONDS)
        late, state = seen.late, OBSERVED if seen.is_observed else PARTIAL
        # The proxies were asked from the write on, maybe by a first move; an operator counts from the decision.
        first = made.seen if made and made.seen and made.seen.is_observed else None
        since, obeyed = (written, first) if first else (asked, seen)
        acknowledged = {name: round(since + took, 4) for name, took in obeyed.acknowledged.items()}
        seconds = since + obeyed.observed_seconds if seen.is_observed and obeyed.observed_seconds else None
    budget = leaves.rollback_budget
    record = RollbackRecord(
        from_phase=leaves.slug,
        to_phase=goes_to.slug,
        from_percent=current.percent,
        to_percent=0 if is_emergency else goes_to.percent,
        trigger=trigger,
        is_emergency=is_emergency,
        reason=reason,
        actor=actor.name,
        decided_at=decided_at.isoformat(),
        state=state,
        seconds=seconds,
        budget_seconds=budget.total_seconds() if budget else None,
        route_version=version,
        late=late,
        # Whoever decided on it, the restore that follows is found by this word.
        rule=rule or (target if target == "data_corruption" else ""),
        written_seconds=written,
        acknowledged=acknowledged,
        observed_percent=seen.observed_percent if seen else None,
        evidence=evidence or {},
    )
    spool.write(recording.spool_directory(), {"kind": "rollback", "uid": str(uuid.uuid4()), "rollback": asdict(record)})
    log.critical("rollback", **asdict(record))
    if is_emergency:
        restart_legacy_if_unhealthy()
    return record


def record_now() -> bool:
    """Store what was spooled at once. False if the database cannot be reached; the route agent does it later."""
    try:
        recording.drain()
    except DatabaseError as error:
        log.warning("spool.waits", error=str(error))
        return False
    return True


def restart_legacy_if_unhealthy() -> bool:
    """Restart legacy by the configured command, only when it does not answer: its memory is the warm state."""
    try:
        with urllib.request.urlopen(f"{settings.LEGACY_URL}/health", timeout=1.0) as answer:
            if answer.status == 200:
                return False
    except OSError as error:
        log.error("legacy.unhealthy", error=str(error))
    if not settings.LEGACY_RESTART_COMMAND:
        log.critical("legacy.restart_not_configured", variable="LEGACY_RESTART_COMMAND")
        return False
    done = subprocess.run(shlex.split(settings.LEGACY_RESTART_COMMAND), capture_output=True, timeout=10, check=False)
    log.warning("legacy.restarted", returncode=done.returncode, error=done.stderr.decode(errors="replace")[-500:])
    return done.returncode == 0


def _refuse_if_left(leaving: str | None, found: Phase) -> None:
    if leaving is not None and found.slug != leaving:
        raise Refused(f"the fleet has left {phase_of(leaving).name} already: it is in {found.name}")


def _written_back(file: RouteFile, leaves: Phase, goes_to: Phase, because: str, by: str) -> Routed:
    """Write the route back, unless somebody else did at the same instant. Raises `Refused` then, and `RouteError`."""
    while True:
        found = file.read()
        _refuse_if_left(leaves.slug, phase_of(found.plan.phase))
        plan = routing.plan_back_to(goes_to, found.plan)
        with contextlib.suppress(StaleVersion):  # a pin, or the other click: what is in force now tells
            return file.write(plan, because=because, by=by, expected_version=found.version)


def _in_force(file: RouteFile, is_emergency: bool) -> RoutePlan:
    try:
        return file.read().plan
    except RouteError as error:
        if not is_emergency:
            raise Refused(f"the route file cannot be read, only an emergency can replace it: {error}") from error
        return routing.plan_for(PHASES[-1], {})  # what it replaces is unknown: assume that everything has moved


def _previous(leaves: Phase, target: str) -> Phase:
    goes_to = rollback_target(leaves) if target == "previous" else phase_of(target)
    if goes_to is None:
        raise Refused(f"{leaves.name} has nothing to go back to")
    if goes_to.number >= leaves.number:
        raise Refused(f"{goes_to.name} is not behind {leaves.name}: going forward needs gates and votes")
    return goes_to
