"""Use case: are both systems the same, every robot, every field, both ways? And the one path to a `Comparison`."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

import structlog

from heartbeat.models import Robot
from heartbeat.rules.identity import key_of
from migration.clock import system_clock
from migration.models import Comparison, Discrepancy, IntegrityCheck
from migration.rules.comparing import LAST_SEEN_BOUND_SECONDS, Difference, Reading, Row, differences, never_met
from migration.rules.consistency import by_cohort
from migration.rules.digests import bucket_of, digests_of, unequal
from migration.rules.pairing import can_be_read_alone
from migration.validation import keeping
from migration.validation.echoes import apart_in_time, in_their_time, put_in_their_time
from migration.validation.reading import BothSystems, Progress, Rows, Unreadable
from migration.validation.robots import disagreeing

log = structlog.get_logger(__name__)

#: what still differs after this was not on its way
LAG_SECONDS = LAST_SEEN_BOUND_SECONDS
PAUSE_SECONDS = 0.5
#: as many rows are re-read one by one; of more the whole list costs legacy less
MOST_READ_ALONE = 100
#: comparisons are kept this long, and at most so many differences with each
KEPT = timedelta(days=7)
MOST_KEPT = 1_000
_SAVED_EVERY_BUCKETS = 32

Subject = Discrepancy.Subject


@dataclass(slots=True)
class Integrity:
    """What a check found. `failure`: why a system could not be read; `stopped`: it was, and can be resumed."""

    rows: int = 0
    members: list[str] = field(default_factory=list, repr=False)
    deployments: int = 0
    unequal_buckets: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    unexplained: list[Discrepancy] = field(default_factory=list)
    explained: list[Discrepancy] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""
    stopped: bool = False
    comparison: Comparison | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything was read, and nothing differs that nobody explained."""
        return not self.failure and not self.stopped and not self.unexplained


def check(
    *,
    legacy_url: str | None = None,
    new_url: str | None = None,
    progress: Progress = lambda what, done, of: None,
    stopping: Callable[[], bool] = lambda: False,
    run: IntegrityCheck | None = None,
) -> Integrity:
    """Compare everything now, re-read what differs until the allowed lag is over, keep what still does.

    `stopping` is asked between buckets and readings; with `run` a stopped check goes on at its place. The URLs are
    this installation's unless they are given. Never raises for a system that cannot be read: `failure` says so.
    """
    began, at = time.monotonic(), system_clock().now()
    found = Integrity()
    try:
        with BothSystems(legacy_url, new_url) as systems:
            _Check(systems, found, progress, stopping, run).all(at)
    except Unreadable as error:
        found.failure = str(error)
        log.warning("comparison.failed", error=found.failure)
    found.seconds = time.monotonic() - began
    if not found.stopped:
        found.comparison = _comparison(found, at)
    return found


class _Check:
    """One check, step by step."""

    def __init__(
        self,
        systems: BothSystems,
        found: Integrity,
        progress: Progress,
        stopping: Callable[[], bool],
        run: IntegrityCheck | None,
    ) -> None:
        self._systems, self._found, self._run = systems, found, run
        self._progress, self._stopping = progress, stopping
        #: what was read of each row that differed, a reading each
        self._readings: dict[str, list[Reading]] = {}

    def all(self, at: datetime) -> None:
        """Rows, then deployments and the robots' own state: read, doubt, re-read after the lag, conclude."""
        self._progress("reading both systems", 0, 1)
        rows, deployments = self._rows(), self._systems.deployments()
        self._found.members = sorted({*rows.legacy, *rows.new})
        self._found.rows = len(self._found.members)
        self._found.deployments = len({*deployments.legacy, *deployments.new})
        first = time.monotonic()
        looked_at = self._doubt_rows(rows, at)
        others = {Subject.DEPLOYMENT: _whole(deployments), Subject.ROBOT: disagreeing()}
        for subject, found in others.items():
            keeping.suspect(subject, found, at)
        if self._found.stopped or not self._read_again(until=first + LAG_SECONDS):
            self._found.stopped = True
            return
        if any(others.values()):
            _wait(first + LAG_SECONDS)
            others = {Subject.DEPLOYMENT: _whole(self._systems.deployments()), Subject.ROBOT: disagreeing()}
        rest = [one for robot_id, readings in self._readings.items() for one in never_met(robot_id, readings)]
        now = system_clock().now()
        self._conclude(Subject.ROW, rest, now, looked_at)
        for subject, found in others.items():
            self._conclude(subject, found, now, None)

    def _rows(self) -> Rows:
        rows = self._systems.rows()
        put_in_their_time(rows)
        return rows

    def _doubt_rows(self, rows: Rows, at: datetime) -> set[str] | None:
        """Compare digests, then the rows of unequal buckets. Returns the keys that were looked at; None: all."""
        legacy, new = digests_of(rows.legacy), digests_of(rows.new)
        self._found.digests = {"legacy": legacy.root.hex(), "new": new.root.hex()}
        doubted = unequal(legacy, new)
        self._found.unequal_buckets = len(doubted)
        place = self._run.place if self._run else 0
        ids = _by_bucket(self._found.members) if doubted else {}
        suspects: list[Difference] = []
        for number, bucket in enumerate(bucket for bucket in doubted if bucket >= place):
            if self._stopping():
                self._found.stopped = True
                break
            for robot_id in ids[bucket]:
                suspects += self._compare(robot_id, rows)
            self._progress("comparing", number + 1, len(doubted))
            if self._run and number % _SAVED_EVERY_BUCKETS == _SAVED_EVERY_BUCKETS - 1:
                self._save(bucket + 1, suspects, at)
                suspects = []
            elif self._run:
                self._run.place = bucket + 1
        suspects += self._clocks(rows)
        self._save(self._run.place if self._run else 0, suspects, at)
        if place == 0:
            return None
        return self._resumed(rows, place)

    def _compare(self, robot_id: str, rows: Rows) -> list[Difference]:
        reading = rows.legacy.get(robot_id), rows.new.get(robot_id)
        different = differences(robot_id, *reading)
        if different:
            self._readings[robot_id] = [reading]
        return different

    def _clocks(self, rows: Rows) -> list[Difference]:
        """Rows that are equal but for their clock fields, which no digest holds."""
        return [
            different
            for robot_id in apart_in_time(rows)
            if robot_id not in self._readings
            for different in self._compare(robot_id, rows)
            if different.field == "last_seen"
        ]

    def _resumed(self, rows: Rows, place: int) -> set[str]:
        """Take over what the stopped check doubted before its place; the rest of that was equal."""
        pending = Discrepancy.objects.filter(subject=Subject.ROW, state=Discrepancy.State.PENDING)
        keys = set(pending.values_list("key", flat=True))
        looked_at = set()
        for robot_id in self._found.members:
            key = Discrepancy.key_of(robot_id)
            if key in keys:
                self._readings.setdefault(robot_id, [(rows.legacy.get(robot_id), rows.new.get(robot_id))])
            if key in keys or bucket_of(robot_id) >= place:
                looked_at.add(key)
        return looked_at

    def _read_again(self, until: float) -> bool:
        """Read what differs until it has met or the lag is over. False when it was stopped."""
        total = len(self._readings)
        while True:
            left = [robot_id for robot_id, readings in self._readings.items() if never_met(robot_id, readings)]
            self._progress("re-reading what differs", total - len(left), total)
            was_read_again = left and len(self._readings[left[0]]) > 1
            if not left or (was_read_again and time.monotonic() > until):
                return True
            if self._stopping():
                return False
            _wait(time.monotonic() + PAUSE_SECONDS)
            alone = len(left) <= MOST_READ_ALONE and all(map(can_be_read_alone, left))
            everything = None if alone else self._rows()
            for robot_id in left:
                if everything is None:
                    reading = in_their_time(robot_id, self._systems.row(robot_id))
                else:
                    reading = everything.legacy.get(robot_id), everything.new.get(robot_id)
                self._readings[robot_id].append(reading)

    def _save(self, place: int, suspects: Iterable[Difference], at: datetime) -> None:
        keeping.suspect(Subject.ROW, suspects, at)
        if self._run:
            self._run.place = place
            self._run.save(update_fields=["place"])

    def _conclude(self, subject: str, rest: list[Difference], at: datetime, looked_at: set[str] | None) -> None:
        kept = keeping.conclude(subject, rest, at, looked_at=looked_at)
        self._found.unexplained += kept.unexplained
        self._found.explained += kept.explained


def _comparison(found: Integrity, at: datetime) -> Comparison:
    """What the gates read. What somebody explained is counted, and held against nobody."""
    Comparison.objects.filter(at__lt=at - KEPT).delete()
    told = [
        {"robot_id": one.robot_id, "field": one.field, "legacy": one.legacy, "new": one.new}
        for one in found.unexplained[:MOST_KEPT]
    ]
    comparison = Comparison.objects.create(
        at=at,
        rows=0 if found.failure else found.rows,
        different=told,
        explained=len(found.explained),
        cohorts=[] if found.failure else _cohorts(found),
        seconds=found.seconds,
        failure=found.failure,
    )
    log.info("comparison.done", rows=found.rows, different=len(found.unexplained), failure=found.failure)
    return comparison


def _cohorts(found: Integrity) -> list[dict[str, object]]:
    different = {one.key for one in (*found.unexplained, *found.explained) if one.subject == Subject.ROW}
    cohorts = {bytes(key): (kind, site) for key, kind, site in Robot.objects.values_list("key", "kind", "site")}
    members = []
    for robot_id in found.members:
        kind, site = cohorts.get(key_of(robot_id), ("unknown", ""))
        members.append((Discrepancy.key_of(robot_id), kind, site))
    return [asdict(cohort) for cohort in by_cohort(members, different)]


def _whole(rows: Rows) -> list[Difference]:
    """Deployments by value: they travel as they are, and only where the file lies is each system's own affair."""
    found = []
    for name in sorted({*rows.legacy, *rows.new}):
        found += differences(name, _without_path(rows.legacy.get(name)), _without_path(rows.new.get(name)))
    return found


def _without_path(row: Row | None) -> Mapping[str, object] | None:
    return None if row is None else {name: value for name, value in row.items() if name != "package_path"}


def _by_bucket(ids: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for robot_id in ids:
        found.setdefault(bucket_of(robot_id), []).append(robot_id)
    return found


def _wait(until: float) -> None:
    time.sleep(max(0.0, until - time.monotonic()))
