"""Evidence for the gate that asks whether operation is known right: what each robot last said beside what is recorded.

The robot's own latest heartbeat is read by a rule of its own (`teleop.rules.reading`), not by the detectors, so the two
can contradict each other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from heartbeat.models import Robot
from teleop.current import watcher_age_seconds
from teleop.models import RobotOperation
from teleop.rules.reading import Host, read_operation

#: a change takes up to a second to be known, so a state must have stood for longer before it is held against anybody
SETTLED = timedelta(seconds=2)
#: what a robot said longer ago is no evidence of now
FRESH = timedelta(seconds=10)
MOST_NAMED = 100


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
    recorded = {bytes(row.robot_key): row for row in RobotOperation.objects.all()}
    judged = agreeing = unknown = silent = 0
    different: list[Difference] = []
    robots = Robot.objects.filter(last_v2_at__gte=fresh_since).order_by("robot_id")
    for robot in robots.only("key", "robot_id", "health", "payload", "last_v2_at").iterator():
        report = read_operation(robot.health, robot.payload)
        if report.operated is None:
            silent += 1
            continue
        row = recorded.get(bytes(robot.key))
        assert robot.last_v2_at is not None
        if row is not None and row.since > robot.last_v2_at - SETTLED:
            continue  # it changed about when the robot spoke
        judged += 1
        state = row.state if row else "unknown"
        said = "active" if report.operated else "host_ready" if report.host is Host.UP else "idle"
        unknown += state == "unknown"
        # `lost` is what follows when the robot says that no command comes any more
        if state == said or (state == "lost" and not report.operated):
            agreeing += 1
        elif len(different) < MOST_NAMED:
            different.append(Difference(robot.robot_id, f"{said}: {report.evidence}", state))
    return Accuracy(judged, agreeing, unknown, silent, tuple(different), watcher_age_seconds(now))
