"""Evidence for the gate that asks whether operation is known right: what each robot last said beside what is recorded.

The robot's own latest heartbeat is read by a rule of its own (`teleop.rules.reading`), not by the detectors, so the two
can contradict each other. Gates ask all the time, so the fleet is counted by one statement that says the same in SQL.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from heartbeat.models import Robot
from teleop.current import watcher_age_seconds
from teleop.models import RobotOperation
from teleop.rules.reading import COMMAND_TIMEOUT_MS, read_operation

#: a change takes up to a second to be known, so a state must have stood for longer before it is held against anybody
SETTLED = timedelta(seconds=2)
#: what a robot said longer ago is no evidence of now
FRESH = timedelta(seconds=10)
MOST_NAMED = 100

#: `read_operation` in SQL: who said what (t is the member `teleop`), beside the state that is recorded. `numeric`: a
#: number of any size can be compared. Robots' texts may hold escapes that PostgreSQL cannot read; those say nothing
#: (U+0000, half of a surrogate pair). PostgreSQL 16 would tell them, but 14 will do (docs/checklist.md)
_UNREADABLE = r"""
\\u0000|\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]
""".strip()
_COUNT = """
WITH told AS (
    SELECT key, robot_id, last_v2_at,
        CASE WHEN payload::text !~ %(unreadable)s THEN payload -> 'teleop' END AS t,
        CASE WHEN health::text !~ %(unreadable)s THEN health #>> '{services,teleop}' END AS service
    FROM heartbeat_robot WHERE last_v2_at >= %(since)s
), said AS (
    SELECT key, robot_id, last_v2_at,
        CASE WHEN json_typeof(t -> 'host_up') = 'boolean' AND NOT (t ->> 'host_up')::boolean THEN false
            WHEN json_typeof(t -> 'command_age_ms') = 'number' THEN (t ->> 'command_age_ms')::numeric <= %(timeout)s
            WHEN json_typeof(t -> 'command_rate_hz') = 'number' THEN (t ->> 'command_rate_hz')::numeric > 0
            WHEN json_typeof(t -> 'watchdog_active') = 'boolean' THEN NOT (t ->> 'watchdog_active')::boolean
        END AS operated,
        CASE WHEN json_typeof(t -> 'host_up') = 'boolean' THEN (t ->> 'host_up')::boolean
            ELSE coalesce(service = 'active', false) END AS host_up
    FROM told
), judged AS (
    SELECT s.key, s.robot_id, coalesce(o.state, 'unknown') AS state, s.operated,
        CASE WHEN s.operated THEN 'active' WHEN s.host_up THEN 'host_ready' ELSE 'idle' END AS word
    FROM said s LEFT JOIN teleop_robotoperation o ON o.robot_key = s.key
    WHERE s.operated IS NOT NULL AND (o.since IS NULL OR o.since <= s.last_v2_at - %(settled)s)
), compared AS (
    -- `lost` is what follows when the robot says that no command comes any more
    SELECT *, state = word OR (state = 'lost' AND NOT operated) AS agrees FROM judged
)
SELECT count(*), count(*) FILTER (WHERE agrees), count(*) FILTER (WHERE state = 'unknown'),
    (SELECT count(*) FROM said WHERE operated IS NULL),
    (array_agg(key ORDER BY robot_id) FILTER (WHERE NOT agrees))[:%(most)s]
FROM compared
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A robot whose own word is another one than what is recorded of it."""

    robot_id: str
    said: str
    recorded: str


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`judged` robots told enough and lately; `percent` of them are recorded as they say (None: nobody told enough).

    `unknown` of them are recorded as unknown though they told: that is wrong, too. `silent`: robots that tell nothing
    of operation. `watcher_age_seconds`: an old one means that nothing of this is of now.
    """

    judged: int
    agreeing: int
    unknown: int
    silent: int
    different: tuple[Difference, ...]
    watcher_age_seconds: float | None

    @property
    def percent(self) -> float | None:
        """Share of the judged robots that are recorded right, 0 to 100."""
        return 100.0 * self.agreeing / self.judged if self.judged else None


def accuracy(now: datetime, since: datetime | None = None) -> Accuracy:
    """Judge every robot that spoke v2 lately; `since` leaves out what was said before, such as another phase's."""
    fresh_since = max(now - FRESH, since) if since else now - FRESH
    given = {"since": fresh_since, "settled": SETTLED, "timeout": COMMAND_TIMEOUT_MS, "most": MOST_NAMED}
    given["unreadable"] = _UNREADABLE
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, given)
        judged, agreeing, unknown, silent, keys = cursor.fetchone()
    different = _named([bytes(key) for key in keys or ()])
    return Accuracy(judged, agreeing, unknown, silent, different, watcher_age_seconds(now))


def _named(keys: list[bytes]) -> tuple[Difference, ...]:
    """What these robots said, in words, beside what is recorded."""
    if not keys:
        return ()
    recorded = {bytes(row.robot_key): row.state for row in RobotOperation.objects.filter(robot_key__in=keys)}
    found = []
    for robot in Robot.objects.filter(key__in=keys).order_by("robot_id").only("key", "robot_id", "health", "payload"):
        report = read_operation(robot.health, robot.payload)
        said = f"{report.state}: {report.evidence}"
        found.append(Difference(robot.robot_id, said, recorded.get(bytes(robot.key), "unknown")))
    return tuple(found)
