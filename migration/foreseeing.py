"""What a step would do, to which robots: the dry run of any step, and which sites it touches."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from heartbeat.models import Robot
from migration import routing
from migration.configuring import settings_for
from migration.pinning import pins
from migration.rules.phases import Phase, phase_of
from migration.rules.plans import RoutePlan
from migration.rules.ramps import steps_into
from migration.rules.split import Side, canonical

#: robots that are named; the counts are of all
NAMED = 200


@dataclass(frozen=True, slots=True)
class Foresight:
    """Who would change sides from one plan to another. Counts are of robots that `new` knows."""

    robots: int
    to_new: int
    to_legacy: int
    names: tuple[str, ...] = ()
    kinds: dict[str, int] = field(default_factory=dict)
    sites: dict[str, int] = field(default_factory=dict)


def foresee(before: RoutePlan, after: RoutePlan) -> Foresight:
    """Compare who owns each known robot under both plans. Nothing is written, nobody is asked."""
    moved: list[tuple[str, str, str, Side]] = []
    robots = 0
    for robot_id, kind, site in Robot.objects.values_list("robot_id", "kind", "site").order_by("robot_id"):
        robots += 1
        side = after.owner_of(robot_id).side
        if side is not before.owner_of(robot_id).side:
            moved.append((robot_id, kind, site, side))
    to_new = sum(1 for *_, side in moved if side is Side.NEW)
    return Foresight(
        robots=robots,
        to_new=to_new,
        to_legacy=len(moved) - to_new,
        names=tuple(robot_id for robot_id, *_ in moved[:NAMED]),
        kinds=dict(Counter(kind for _, kind, _, _ in moved)),
        sites=dict(Counter(site or "(none)" for _, _, site, _ in moved)),
    )


def members_of(cohort: str) -> tuple[list[str], int]:
    """The robots of "kind=…" or "site=…" that can be named in a route, and how many robots are known in all."""
    what, _, which = cohort.partition("=")
    ids = Robot.objects.filter(**{what: which}, bucket__isnull=False).values_list("robot_id", flat=True)
    return sorted({canonical(robot_id) for robot_id in ids if _can_be_named(robot_id)}), Robot.objects.count()


def plan_after(current: RoutePlan, to: Phase, percent: int, members: Iterable[str] = (), robots: int = 0) -> RoutePlan:
    """The plan of a step: who went over by name before stays over."""
    cohort = {**dict.fromkeys(members, to.slug), **current.cohort}
    return routing.plan_for(to, pins(), percent=percent, cohort=cohort, robots=robots or current.robots)


def dry_run(word: str) -> dict[str, Any]:
    """What going to a phase would do, step by step, as JSON can carry it. Raises `UnknownPhase`, `RouteError`."""
    to, current = phase_of(word), routing.route_file().read().plan
    leaves = phase_of(current.phase)
    if to.number < leaves.number:
        foreseen = foresee(current, routing.plan_back_to(to, current))
        return {"to": to.slug, "direction": "back", "steps": [_told(f"{to.percent} %", foreseen)]}
    steps, before = [], current
    for step in steps_into(to, settings_for(to.slug), current.percent):
        members, robots = members_of(step.cohort) if step.cohort else ([], 0)
        after = plan_after(before, to, step.percent, members, robots)
        steps.append(_told(step.words, foresee(before, after)))
        before = after
    return {"to": to.slug, "direction": "forward" if to.number > leaves.number else "none", "steps": steps}


def _told(words: str, foreseen: Foresight) -> dict[str, Any]:
    return {
        "step": words,
        "robots": foreseen.robots,
        "to_new": foreseen.to_new,
        "to_legacy": foreseen.to_legacy,
        "names": list(foreseen.names),
        "more": foreseen.to_new + foreseen.to_legacy - len(foreseen.names),
        "kinds": foreseen.kinds,
        "sites": foreseen.sites,
    }


def _can_be_named(robot_id: str) -> bool:
    """Whether the id survives the route file: half a surrogate pair does not."""
    try:
        robot_id.encode()
    except UnicodeEncodeError:
        return False
    return True
