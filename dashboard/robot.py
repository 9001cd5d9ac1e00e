"""One robot's page, as the regions of its view `robot/<id>`: rendered again only when something of it has changed.

Ages are `<time data-ago>`: the page counts them itself, so a robot that is heard every 30 s is rendered every 30 s.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.expressions import RawSQL
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import mark_safe

from dashboard import history
from dashboard.fleet import operation_words
from dashboard.live.view import MappingState
from dashboard.presentation import NEVER, measured_seconds
from dashboard.telemetry import telemetry
from heartbeat.models import Robot
from heartbeat.models.robot import Kind
from heartbeat.reports import latest_report
from heartbeat.rules.identity import key_of
from heartbeat.rules.liveness import Liveness, liveness
from migration import routing
from migration.drivers.errors import RouteError
from migration.rules.plans import RoutePlan
from migration.rules.split import BUCKETS_PER_PERCENT, canonical
from teleop.describing import operation_of

#: ids in the page; `robot-state` comes from `dashboard/_robot_state.html`
REGIONS = (
    "robot-state",
    "robot-owner",
    "robot-identity",
    "robot-telemetry",
    "robot-operation",
    "robot-heartbeats",
    "robot-events",
)
#: how many rendered robots are kept for when nothing has changed
KEPT = 1000
#: longer ids are folded into their key
LONGEST_ID = 512

#: a label this near to an edge of the ruler, percent, must not be centred
_NEAR_EDGE = 8

_LOOKS = {
    Liveness.ONLINE: "ok",
    Liveness.LATE: "warn",
    Liveness.OFFLINE: "bad silent",
    Liveness.NEVER: "none",
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A robot's regions, and what they were made from."""

    made_from: tuple[Any, ...]
    html: dict[str, str]
    is_known: bool


class RobotViews:
    """The source of all views `robot/<id>`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rendered: OrderedDict[str, Rendered] = OrderedDict()

    def knows(self, name: str) -> bool:
        """Any id may come to be heard; one that was not says so."""
        return 0 < len(name.removeprefix("robot/")) <= LONGEST_ID

    def look(self, names: Sequence[str]) -> Mapping[str, MappingState]:
        """These robots now, with one query for all that have not changed."""
        now = timezone.now()
        with self._lock:
            return {
                name: MappingState(now.isoformat(), html=each.html, data={"known": each.is_known})
                for name, each in self._look(names, now).items()
            }

    def _look(self, names: Sequence[str], now: datetime) -> dict[str, Rendered]:
        ids = {name: name.removeprefix("robot/") for name in names}
        robots = read_robots(ids.values())
        states = history.watched_liveness([robot.key for robot in robots.values()])
        plan, version = _plan()
        wanted: dict[str, tuple[Any, ...]] = {}
        for name, robot_id in ids.items():
            robot = robots.get(robot_id)
            wanted[name] = (robot and robot.written, _liveness(robot, states, now) if robot else None, version)
        stale = [name for name in names if name not in self._rendered or self._rendered[name].made_from != wanted[name]]
        keys = [robots[ids[name]].key for name in stale if ids[name] in robots]
        heartbeats, events = history.latest_heartbeats(keys), history.latest_events(keys)
        for name in stale:
            robot = robots.get(ids[name])
            facts = {"robot_id": ids[name], "robot": robot}
            if robot is not None:
                alive = wanted[name][1]
                facts |= _facts(robot, alive, plan)
                facts |= {"heartbeats": heartbeats.get(robot.key, []), "events": events.get(robot.key, [])}
            html = {region: _render(region, facts) for region in REGIONS}
            self._rendered[name] = Rendered(wanted[name], html, robot is not None)
        found = {name: self._rendered[name] for name in names}
        for name in names:
            self._rendered.move_to_end(name)
        while len(self._rendered) > max(KEPT, len(names)):
            self._rendered.popitem(last=False)
        return found


def read_robots(ids: Iterable[str]) -> dict[str, Any]:
    """The robots with these ids, in any spelling, by the id asked for; each with `written`, which changes with it."""
    keys = {robot_id: key_of(robot_id) for robot_id in ids}
    rows = Robot.objects.filter(key__in=list(keys.values())).annotate(written=RawSQL("heartbeat_robot.xmin::text", []))
    by_key: dict[bytes, Any] = {}
    for row in rows:
        row.key = bytes(row.key)
        by_key[row.key] = row
    return {robot_id: by_key[key] for robot_id, key in keys.items() if key in by_key}


def _plan() -> tuple[RoutePlan | None, int | None]:
    try:
        routed = routing.route_file().read()
    except RouteError:
        return None, None
    return routed.plan, routed.version


def _liveness(robot: Robot, watched: Mapping[bytes, str], now: datetime) -> Liveness:
    if state := watched.get(robot.key):
        return Liveness(state)
    return liveness(robot.last_seen_at, robot.every_seconds, now, robot.grace_seconds)


def _facts(robot: Robot, alive: Liveness, plan: RoutePlan | None) -> dict[str, Any]:
    """What the templates need, so that they hold no number and no decision."""
    report = operation_of(robot)
    return {
        "robot_id": robot.robot_id,
        "liveness": alive.value,
        "look": _LOOKS[alive],
        "every": robot.every_seconds,
        "operation": operation_words(report) or "nothing reported",
        "driven": report.operated,
        "report": report,
        "owner": _ownership(robot, plan),
        "clock": _clock(robot.clock_offset_seconds),
        "telemetry": telemetry(latest_report(robot), robot.battery_percent),
        "kind": Kind(robot.kind).label if robot.kind in Kind.values else robot.kind,
    }


def _ownership(robot: Robot, plan: RoutePlan | None) -> dict[str, Any] | None:
    """Who serves the robot by the route in force, and why; None when no route can be read."""
    if plan is None:
        return None
    owner = plan.owner_of(robot.robot_id)
    pinned = plan.honours_pins and canonical(robot.robot_id) in plan.pins
    place = None if robot.bucket is None else robot.bucket / BUCKETS_PER_PERCENT
    return {
        "side": str(owner.side),
        "reason": owner.reason,
        "pinned": pinned,
        "percent": plan.percent,
        "limit": plan.percent * BUCKETS_PER_PERCENT,
        "place": place,
        "anchor": _anchor(place),
    }


def _anchor(place: float | None) -> str:
    """Which end of a label stands at its mark."""
    if place is None or _NEAR_EDGE <= place <= 100 - _NEAR_EDGE:
        return "middle"
    return "start" if place < _NEAR_EDGE else "end"


def _clock(offset_seconds: float | None) -> str:
    """The robot's clock beside ours; the offset is ours minus its."""
    if offset_seconds is None:
        return NEVER
    return f"{measured_seconds(abs(offset_seconds))} {'behind' if offset_seconds > 0 else 'ahead'}"


def _render(region: str, facts: dict[str, Any]) -> str:
    return mark_safe(render_to_string(f"dashboard/_{region.replace('-', '_')}.html", facts).strip())
