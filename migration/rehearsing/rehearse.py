"""Rehearsing the way back: one robot is pinned to legacy and goes forward again, measured and observed each time.

The pin stands in the route alone, never in the table of pins: a shift that comes in between routes without it, and a
rehearsal whose worker died leaves nothing that the next one does not tidy up.
"""

import time
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from heartbeat.models import Robot
from heartbeat.rules.identity import key_of
from migration import audit, routing
from migration.actors import Actor
from migration.clock import system_clock
from migration.drivers.envoy import PROBE_IDS, observe
from migration.drivers.errors import RouteError, StaleVersion
from migration.drivers.route_file import Routed
from migration.errors import Refused
from migration.models import Rehearsal, TrafficShift
from migration.pinning import pins
from migration.rules.plans import RoutePlan
from migration.rules.split import Side, canonical

log = structlog.get_logger(__name__)

#: each way may take this long
CONFIRM_SECONDS = 2.0
#: a failed one is repeated after this
AGAIN_SECONDS = 30.0
#: a rehearsal that was not ended by then has lost its worker
ABANDONED_AFTER = timedelta(seconds=90)
#: an id of the door's own, for a phase in which `new` owns no robot
PROBE_ROBOT = PROBE_IDS[0]
SCHEDULE = Actor("rehearsal")
_TRIES = 3


def rehearse(*, actor: Actor = SCHEDULE) -> Rehearsal:
    """Rehearse now and return what was measured. A way that was not confirmed is a rehearsal in state failed.

    Raises `Refused` while a latch holds, a shift is on its way, another rehearsal is under way, or the route cannot
    be read.
    """
    tidy_up()
    routed = _free_route()
    now, began = system_clock().now(), time.monotonic()
    way, robot_id = _who(routed.plan)
    try:
        with transaction.atomic():
            rehearsal = Rehearsal.objects.create(
                robot_id=robot_id, way=way, phase=routed.plan.phase, asked_by=actor.name, started_at=now
            )
    except IntegrityError as error:
        raise Refused("another rehearsal is under way") from error
    try:
        _there_and_back(rehearsal, routed, began, now)
    except RouteError as error:
        _end(rehearsal, str(error))
    return rehearsal


def is_due(now: datetime) -> bool:
    """Whether the schedule asks for one: none was begun for the configured while, or the latest failed."""
    latest = Rehearsal.objects.first()
    if latest is None:
        return True
    every = settings.REHEARSAL_SECONDS
    if latest.state == Rehearsal.State.FAILED:
        every = min(every, AGAIN_SECONDS)
    return (now - latest.started_at).total_seconds() >= every


def rehearse_if_due() -> Rehearsal | None:
    """What the schedule calls, often. None where it is not time yet, or nothing can be rehearsed now."""
    if settings.REHEARSALS == "waived" or not is_due(system_clock().now()):
        return None
    try:
        return rehearse()
    except Refused as refused:
        log.info("rehearsal.refused", sentence=str(refused))
        return None


def tidy_up() -> None:
    """End rehearsals whose worker disappeared, and route without their pins."""
    now = system_clock().now()
    for left in Rehearsal.objects.filter(state=Rehearsal.State.UNDER_WAY, started_at__lt=now - ABANDONED_AFTER):
        if left.robot_id:
            _unpin(left.robot_id)
        _end(left, "the worker that rehearsed it disappeared")


def _there_and_back(rehearsal: Rehearsal, routed: Routed, began: float, now: datetime) -> None:
    """Move it, confirm, wait for the robot itself, move it back, confirm."""
    key = canonical(rehearsal.robot_id) if rehearsal.robot_id else ""
    plan = routed.plan
    out = replace(plan, pins={**plan.pins, key: Side.LEGACY}) if key else plan
    if rehearsal.way == Rehearsal.Way.PROBE:
        # `new` owns nobody here: the id first goes to it, so that there is a way back to measure.
        there = replace(plan, pins={**plan.pins, key: Side.NEW})
        routed, _ = _confirmed(_put(there, routed, rehearsal), rehearsal.robot_id)
        began = time.monotonic()
    routed, late = _confirmed(_put(out, routed, rehearsal), rehearsal.robot_id)
    back = time.monotonic() - began
    if rehearsal.way == Rehearsal.Way.ROBOT and not late:
        rehearsal.heard_seconds = _wait_until_heard(rehearsal.robot_id, now, began)
    began = time.monotonic()
    _, missed = _confirmed(_put(plan, routed, rehearsal), rehearsal.robot_id)
    late = late or missed
    if not late:
        rehearsal.back_seconds, rehearsal.forward_seconds = back, time.monotonic() - began
    _end(rehearsal, late)


def _put(plan: RoutePlan, on: Routed, rehearsal: Rehearsal) -> Routed:
    """Write a route for the rehearsal, on the one it was decided on: whoever brought in another plan goes first."""
    because = f"rehearsal {rehearsal.pk} of the way back"
    for _ in range(_TRIES):
        try:
            return routing.route_file().write(plan, because=because, by=rehearsal.asked_by, expected_version=on.version)
        except StaleVersion:
            # The same plan again, as the checklist's drill writes it, is no other decision.
            now = routing.route_file().read()
            if now.plan != on.plan:
                raise
            on = now
    raise Refused("the route is written again and again")


def _confirmed(routed: Routed, robot_id: str) -> tuple[Routed, str]:
    """Wait until every proxy runs it and every probe obeys, the robot's own id among them.

    Returns the route that was confirmed, which is a later one where somebody wrote the same plan again, and what was
    late, or "".
    """
    ids = (*PROBE_IDS, robot_id) if robot_id else PROBE_IDS
    for _ in range(_TRIES):
        late = observe(routing.proxies(), routed, CONFIRM_SECONDS, ids).late
        now = routing.route_file().read() if late else routed
        if now.version == routed.version or now.plan != routed.plan:
            break
        routed = now
    return routed, "; ".join(late)


def _wait_until_heard(robot_id: str, since: datetime, began: float) -> float | None:
    """Seconds until the robot's own heartbeat came in as legacy's; None if it did not speak in time."""
    deadline = began + min(2 * settings.ROBOT_INTERVAL_SECONDS + 1, 60)
    heard = Robot.objects.filter(key=key_of(robot_id), last_seen_at__gt=since, last_side=Side.LEGACY)
    while not heard.exists():
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.05)
    return time.monotonic() - began


def _free_route() -> Routed:
    """The route in force, if nothing else is about to change it. Raises `Refused`."""
    file = routing.route_file()
    if latch := file.latched():
        raise Refused(f"latched by {latch.by}: there is no way back left to rehearse")
    if shift := TrafficShift.objects.filter(state__in=TrafficShift.WAITING).first():
        raise Refused(f"shift {shift.pk} is on its way and waits for {shift.waits_for}")
    try:
        return file.read()
    except RouteError as error:
        raise Refused(str(error)) from error


def _who(plan: RoutePlan) -> tuple[Rehearsal.Way, str]:
    """Which robot goes: the configured one that `new` owns and that was rehearsed the longest ago."""
    if not plan.honours_pins:
        return Rehearsal.Way.ROUTE, ""
    pinned = pins()
    on_new = [
        robot_id
        for robot_id in settings.REHEARSAL_ROBOTS
        if plan.owner_of(robot_id).side is Side.NEW and canonical(robot_id) not in pinned
    ]
    if not on_new:
        return Rehearsal.Way.PROBE, PROBE_ROBOT
    latest = {robot_id: pk for pk, robot_id in Rehearsal.objects.order_by("id").values_list("id", "robot_id")}
    return Rehearsal.Way.ROBOT, min(on_new, key=lambda robot_id: latest.get(robot_id, 0))


def _unpin(robot_id: str) -> None:
    """Take a rehearsal's pin out of the route, if it is still there."""
    key = canonical(robot_id)
    for _ in range(_TRIES):
        routed = routing.route_file().read()
        if key not in routed.plan.pins or key in pins():
            return
        left = {robot: side for robot, side in routed.plan.pins.items() if robot != key}
        try:
            routing.route_file().write(
                replace(routed.plan, pins=left),
                because="the pin of a rehearsal that was left behind",
                by=SCHEDULE.name,
                expected_version=routed.version,
            )
        except StaleVersion:
            continue
        return


def _end(rehearsal: Rehearsal, failure: str) -> None:
    now = system_clock().now()
    if failure:
        rehearsal.fail(failure, now)
        if rehearsal.robot_id:
            try:
                _unpin(rehearsal.robot_id)
            except RouteError as error:
                log.error("rehearsal.pin_left", robot=rehearsal.robot_id, error=str(error))
    else:
        rehearsal.prove(now)
    with transaction.atomic():
        rehearsal.save()
        what = rehearsal.robot_id or "the route"
        took = f"proven in {rehearsal.back_seconds:.2f} s" if not failure else f"failed: {failure}"
        detail = {"rehearsal": rehearsal.pk, "way": rehearsal.way, "heard_seconds": rehearsal.heard_seconds}
        audit.record(Actor(rehearsal.asked_by), "rehearsal", f"way back of {what} {took}", at=now, detail=detail)
    log.info("rehearsal.ended", rehearsal=rehearsal.pk, state=rehearsal.state, seconds=rehearsal.back_seconds)
