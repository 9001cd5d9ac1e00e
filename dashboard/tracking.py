"""Following the fleet by reading only what was written since the last look.

Every heartbeat writes a row, and 10,000 rows through the ORM cost more than a second. So one query reads the shown
columns of those rows whose writer (`xmin`) was not over at the look before: whoever wrote them, whenever it committed.
What only time changes (a silent robot becomes late, then offline) is known beforehand and needs no reading.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from dashboard.fleet import Fleet, Line, mark_of, operation_words
from heartbeat.rules.liveness import Liveness, thresholds
from teleop.rules.reading import OperationReport, read_operation

#: the moment is the oldest transaction that was still open: what it writes is seen only by a later look. Most
#: heartbeats say nothing of operation, and then their JSON need not be read at all. A row of NULLs if nothing is new.
_READ = """
SELECT moment.open, moment.robots, robot.*
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::xid::text AS open,
             (SELECT count(*) FROM heartbeat_robot) AS robots) AS moment
LEFT JOIN (
    SELECT r.key, r.robot_id, r.kind, r.site, r.bucket, r.last_side, r.status, coalesce(r.version, '') AS version,
           round(r.battery_percent)::int AS battery, extract(epoch FROM r.last_seen_at)::float8 AS seen,
           coalesce(r.expected_interval_seconds, r.interval_seconds, %(interval)s) AS every, r.grace_seconds AS grace,
           l.state AS watched,
           CASE WHEN strpos(r.health::text, '"teleop"') > 0 THEN r.health::text END AS health,
           CASE WHEN r.last_v2_at = r.last_status_at AND strpos(r.payload::text, '"teleop"') > 0
                THEN r.payload::text END AS payload
    FROM heartbeat_robot AS r LEFT JOIN heartbeat_liveness AS l ON l.robot_key = r.key
    WHERE %(since)s::text IS NULL OR age(r.xmin) <= age(%(since)s::text::xid)
        OR age(l.xmin) <= age(%(since)s::text::xid)
) AS robot ON true
ORDER BY bucket NULLS LAST, robot_id
"""


@dataclass(slots=True)
class _Robot:
    """What was read of a robot, before the time is taken into account."""

    facts: tuple[Any, ...]
    report: OperationReport
    operation: str


class FleetTracker:
    """Follows the fleet. One per process is enough; it may be asked from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: str | None = None
        self._forget()

    def look(self, now: datetime | None = None) -> Fleet:
        """The fleet as it is now. Raises what the database raises."""
        with self._lock:
            return self._look(now or timezone.now())

    def operations(self, now: datetime | None = None) -> tuple[Fleet, dict[str, OperationReport]]:
        """The fleet, and by id what the robots that report on their operation said."""
        with self._lock:
            fleet = self._look(now or timezone.now())
            return fleet, {
                line.id: robot.report for line, robot in zip(self._lines, self._robots, strict=True) if robot.operation
            }

    def _look(self, now: datetime) -> Fleet:
        moment, count, written = self._read(self._since)
        if len(self._robots) != count:
            # one has been deleted
            self._forget()
            moment, _, written = self._read(None)
        self._since = moment
        at = now.timestamp()
        for place in {*written, *(place for place, due in enumerate(self._due) if due <= at)}:
            self._lines[place], self._due[place] = _line(self._robots[place], at)
        return Fleet(now.isoformat(), tuple(self._lines))

    def _forget(self) -> None:
        self._places: dict[bytes, int] = {}
        self._robots: list[_Robot] = []
        self._lines: list[Line] = []
        #: when a line changes if its robot stays silent, seconds of the epoch
        self._due: list[float] = []

    def _read(self, since: str | None) -> tuple[str, int, list[int]]:
        """Take in the rows written since; returns the moment of this look, how many robots there are, and the places
        of those that were read."""
        with connection.cursor() as cursor:
            cursor.execute(_READ, {"interval": settings.ROBOT_INTERVAL_SECONDS, "since": since})
            rows = cursor.fetchall()
        moment, count = rows[0][:2]
        return moment, count, [self._take(row[2:]) for row in rows if row[2] is not None]

    def _take(self, row: Sequence[Any]) -> int:
        robot = _robot(row)
        place = self._places.setdefault(bytes(row[0]), len(self._robots))
        if place < len(self._robots):
            self._robots[place] = robot
        else:
            self._robots.append(robot)
            self._due.append(-inf)
            self._lines.append(_line(robot, 0.0)[0])
        return place


def _robot(row: Sequence[Any]) -> _Robot:
    *facts, health, payload = row[1:]
    report = read_operation(health and json.loads(health), payload and json.loads(payload))
    return _Robot(tuple(facts), report, operation_words(report))


def _line(robot: _Robot, now: float) -> tuple[Line, float]:
    """The line as it is `now`, and when it changes if the robot stays silent."""
    robot_id, kind, site, bucket, side, status, version, battery, seen, every, grace, watched = robot.facts
    alive, until = (Liveness(watched), inf) if watched else _computed(seen, every, grace, now)
    line = Line(
        id=robot_id,
        kind=kind,
        site=site,
        bucket=bucket,
        every=every,
        mark=mark_of(alive, status, robot.report.operated).value,
        liveness=alive.value,
        silent_since=None if alive is Liveness.ONLINE or seen is None else int(seen),
        owner=side,
        status=status,
        operation=robot.operation,
        version=version,
        battery=battery,
    )
    return line, until


def _computed(seen: float | None, every: float, grace: float | None, now: float) -> tuple[Liveness, float]:
    """How the silence since `seen` is read, and until when it is if it lasts."""
    if seen is None:
        return Liveness.NEVER, inf
    limits = thresholds(every, grace)
    late, offline = seen + limits.late_after_seconds, seen + limits.offline_after_seconds
    if now > offline:
        return Liveness.OFFLINE, inf
    return (Liveness.LATE, offline) if now > late else (Liveness.ONLINE, late)


#: of this process
tracker = FleetTracker()
