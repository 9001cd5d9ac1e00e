"""Silences become incidents, and incidents notices: planned in memory, written with the events they belong to."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from heartbeat.rules.incidents import joins, rank, recovered_sentence, sentence
from heartbeat.watching.robots import Watched
from heartbeat.watching.store import OpenIncident

Write = tuple[str, Sequence[Any]]

_INCIDENTS = """
INSERT INTO heartbeat_incident AS i (id, site, level, opened_at, last_joined_at, closed_at, robots)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
                     %s::int[])
ON CONFLICT (id) DO UPDATE SET level = excluded.level, last_joined_at = excluded.last_joined_at,
    closed_at = excluded.closed_at, robots = excluded.robots
"""
_JOIN = """
INSERT INTO heartbeat_incidentmember AS m (incident_id, robot_key, robot_id, level, joined_at, falls)
SELECT *, 1 FROM unnest(%s::bigint[], %s::bytea[], %s::text[], %s::text[], %s::timestamptz[])
ON CONFLICT (incident_id, robot_key) DO UPDATE SET
    level = excluded.level, left_at = NULL, falls = m.falls + (m.left_at IS NOT NULL)::int
"""
_LEAVE = """
UPDATE heartbeat_incidentmember m SET left_at = gone.at
FROM unnest(%s::bigint[], %s::bytea[], %s::timestamptz[]) AS gone (incident_id, robot_key, at)
WHERE m.incident_id = gone.incident_id AND m.robot_key = gone.robot_key
"""
_NOTICES = """
INSERT INTO heartbeat_notice (incident_id, route, text, created_at)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[])
"""


@dataclass(slots=True)
class _Alarm:
    robot_id: str
    key: bytes
    level: str
    at: datetime
    reason: str


@dataclass(slots=True)
class _Plan:
    """What happens to one incident in this tick."""

    is_new: bool = False
    #: the level was raised to this
    raised: str = ""
    alarms: list[_Alarm] = field(default_factory=list)
    left: dict[bytes, datetime] = field(default_factory=dict)


class Incidents:
    """The open incidents. `new_id` gives the id of the next one."""

    def __init__(self, opened: dict[int, OpenIncident], new_id: Callable[[], int]) -> None:
        self._open = opened
        self._new_id = new_id
        self._of_site: dict[str, list[int]] = defaultdict(list)
        for incident in opened.values():
            self._of_site[incident.site].append(incident.id)
        self._plans: dict[int, _Plan] = {}

    @property
    def open(self) -> Mapping[int, OpenIncident]:
        """Those that are not over."""
        return self._open

    def tell(self, watched: Watched, at: datetime, interval_seconds: float, reason: str) -> int:
        """The robot is late or offline since `at` and somebody is to know: join or open an incident; returns its id."""
        held, read = watched.held, watched.reading
        level = held.state.value
        incident = self._open.get(held.incident_id) if held.incident_id else None
        incident = incident or self._joinable(read.site, at, interval_seconds) or self._opened(read.site, level, at)
        plan = self._plans.setdefault(incident.id, _Plan())
        plan.alarms.append(_Alarm(read.robot_id, read.key, level, at, reason))
        plan.left.pop(read.key, None)
        if rank(level) > rank(incident.level):
            incident.level = plan.raised = level
        if read.key not in incident.members:
            incident.members.add(read.key)
            incident.robots += 1
        incident.last_joined_at = max(incident.last_joined_at, at)
        held.incident_id, held.told = incident.id, level
        return incident.id

    def leave(self, watched: Watched, at: datetime) -> None:
        """The robot is back, or gone for good; the last to leave closes the incident."""
        held, key = watched.held, watched.reading.key
        incident = self._open.get(held.incident_id) if held.incident_id else None
        held.incident_id, held.told = None, ""
        if incident:
            incident.members.discard(key)
            self._plans.setdefault(incident.id, _Plan()).left[key] = at

    def writes(self, now: datetime) -> list[Write]:
        """What is to be written for all of this tick, in this order. Forgets what is closed."""
        plans, self._plans = self._plans, {}
        rows, notices = [], []
        for number, plan in plans.items():
            incident = self._open[number]
            closed_at = max(plan.left.values()) if plan.left and not incident.members else None
            rows.append(_row(incident, closed_at))
            if plan.is_new or plan.raised:
                told = [alarm for alarm in plan.alarms if alarm.level == incident.level]
                text = sentence(
                    incident.level, incident.site, [alarm.robot_id for alarm in told], [alarm.reason for alarm in told]
                )
                notices.append((number, incident.level, text, now))
            if closed_at:
                text = recovered_sentence(incident.site, incident.robots, closed_at - incident.opened_at)
                notices.append((number, "recovered", text, now))
                del self._open[number]
                self._of_site[incident.site].remove(number)
        joined = [
            (number, one.key, one.robot_id, one.level, one.at) for number, plan in plans.items() for one in _last(plan)
        ]
        left = [(number, key, at) for number, plan in plans.items() for key, at in plan.left.items()]
        planned = ((_INCIDENTS, rows), (_JOIN, joined), (_LEAVE, left), (_NOTICES, notices))
        return [(statement, columns(some)) for statement, some in planned if some]

    def _joinable(self, site: str, at: datetime, interval_seconds: float) -> OpenIncident | None:
        for number in reversed(self._of_site[site]):
            incident = self._open[number]
            if joins(incident.opened_at, incident.last_joined_at, at, interval_seconds):
                return incident
        return None

    def _opened(self, site: str, level: str, at: datetime) -> OpenIncident:
        incident = OpenIncident(self._new_id(), site, level, at, at, 0, set())
        self._open[incident.id] = incident
        self._of_site[site].append(incident.id)
        self._plans[incident.id] = _Plan(is_new=True)
        return incident


def columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Rows as the arrays that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)]


def _row(incident: OpenIncident, closed_at: datetime | None) -> tuple[Any, ...]:
    return (
        incident.id,
        incident.site,
        incident.level,
        incident.opened_at,
        incident.last_joined_at,
        closed_at,
        incident.robots,
    )


def _last(plan: _Plan) -> list[_Alarm]:
    """One alarm a robot: the worst, which came last."""
    return list({alarm.key: alarm for alarm in plan.alarms}.values())
