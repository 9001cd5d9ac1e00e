"""Which robots are pinned to a side, and moving one robot by name."""

from migration import routing
from migration.actors import Actor
from migration.errors import MissingReason, Refused
from migration.models import Pin, TrafficShift
from migration.rules.phases import phase_of
from migration.rules.plans import InvalidPlan, RoutePlan
from migration.rules.split import Side, canonical

#: whole percents move the fleet, through gates and votes; pins are for single robots
MOST_PINS_TO_NEW = 20


def pins() -> dict[str, str]:
    """Every pin: lowered robot id → side."""
    return dict(Pin.objects.values_list("key", "side"))


def pin(robot_id: str, side: str, *, actor: Actor, reason: str) -> TrafficShift:
    """Ask that one robot stays on one side whatever its bucket says; it holds once the shift is observed.

    To legacy is a way back and needs nothing; to `new` takes what forbids any step. Raises `MissingReason`, `Refused`.
    """
    if side not in set(Side):
        raise Refused(f"side: {side!r} is neither new nor legacy")
    if side == Side.NEW:
        _may_go_to_new(canonical(robot_id))
    return _ask(robot_id, side, actor, reason)


def unpin(robot_id: str, *, actor: Actor, reason: str) -> TrafficShift:
    """Ask that a robot goes by its bucket again. Raises `MissingReason`, `Refused`."""
    if canonical(robot_id) not in pins():
        raise Refused(f"{robot_id} is not pinned")
    return _ask(robot_id, None, actor, reason)


def _may_go_to_new(key: str) -> None:
    from migration import advancing  # which moves fleets, and enqueues what is asked here

    run, clock = advancing.active_run(), advancing.system_clock()
    if run.phase.number == 0:
        raise Refused("new is not in play in Preparation")
    held = advancing.hindrances(run, run.phase, None, clock)
    if held:
        raise Refused(f"not to new now: {'; '.join(held)}", held)
    others = Pin.objects.filter(side=Side.NEW).exclude(key=key).count()
    if others >= MOST_PINS_TO_NEW:
        raise Refused(f"{others} robots are pinned to new already: more move by percent, through gates and votes")


def _ask(robot_id: str, side: str | None, actor: Actor, reason: str) -> TrafficShift:
    from migration import advancing, shifting

    if not reason.strip():
        raise MissingReason("a pin")
    plan = routing.route_file().read().plan
    try:
        RoutePlan.shadowing(pins={robot_id: side or Side.LEGACY})
    except InvalidPlan as error:
        raise Refused(str(error)) from error
    shift = shifting.request(
        phase_of(plan.phase),
        actor=actor,
        reason=reason,
        percent=plan.percent,
        pin_changes={canonical(robot_id): side},
    )
    advancing.enqueue(shift)
    return shift
