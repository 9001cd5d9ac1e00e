"""The fleet as the picture and its table show it: one line per robot, in bucket order."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.conf import settings

from heartbeat.models import Robot
from heartbeat.rules.liveness import Liveness, liveness
from teleop.rules.reading import Host, OperationReport, read_operation


class Mark(StrEnum):
    """What a robot's cell shows; the worst that is true of it."""

    SILENT = "silent"
    FAILED = "failed"
    LATE = "late"
    DRIVEN = "driven"
    ONLINE = "online"


#: the letter that stands for each mark, owner and so on in the live feed: a fleet is then a short string
LETTERS: Mapping[str, str] = {
    Mark.SILENT: "s",
    Mark.FAILED: "f",
    Mark.LATE: "l",
    Mark.DRIVEN: "d",
    Mark.ONLINE: "o",
    "new": "n",
    "legacy": "l",
    "": "-",
}

_FIELDS = (
    "robot_id",
    "kind",
    "site",
    "bucket",
    "status",
    "last_seen_at",
    "expected_interval_seconds",
    "interval_seconds",
    "last_side",
    "health",
    "payload",
    "last_v2_at",
    "last_status_at",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One robot. `owner` is who owned its latest call as the door said it, "" when it did not come through the door."""

    robot_id: str
    kind: str
    site: str
    bucket: int | None
    mark: Mark
    owner: str
    status: str
    operation: str
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """All robots, and counts of the same lines."""

    lines: Sequence[Line]

    def counted(self, column: str) -> dict[str, int]:
        """How many lines have each value of `column`, most frequent first."""
        return dict(Counter(str(getattr(line, column)) for line in self.lines).most_common())


def fleet(now: datetime) -> Fleet:
    """Read every robot. Those without a bucket come last, as they are on the default side."""
    rows = Robot.objects.exclude(last_seen_at=None).order_by("bucket", "robot_id").values_list(*_FIELDS)
    return Fleet(tuple(_line(dict(zip(_FIELDS, row, strict=True)), now) for row in rows.iterator(chunk_size=2000)))


def mark_of(alive: Liveness, status: str, operated: bool | None) -> Mark:
    """Silence is worse than a reported failure, that is worse than being late; else, whether somebody drives."""
    if alive is Liveness.OFFLINE:
        return Mark.SILENT
    if status == "failed":
        return Mark.FAILED
    if alive is Liveness.LATE:
        return Mark.LATE
    return Mark.DRIVEN if operated else Mark.ONLINE


def operation_words(report: OperationReport) -> str:
    """What the robot reports of its operation. A running service is not an operator, so who cannot tell says so."""
    if report.operated is not None:
        return "driven" if report.operated else "not driven"
    host = {Host.UP: "host up", Host.DOWN: "host down"}.get(report.host)
    return f"{host}, driver unknown" if host == "host up" else host or ""


def columns(lines: Iterable[Line]) -> dict[str, dict[str, Any]]:
    """The lines as columns for the page: `robots` rarely changes, `marks` does, so they travel apart."""
    lines = list(lines)
    operations = sorted({line.operation for line in lines})
    statuses = sorted({line.status for line in lines})
    return {
        "robots": {
            "id": [line.robot_id for line in lines],
            "kind": [line.kind for line in lines],
            "site": [line.site for line in lines],
            "bucket": [line.bucket for line in lines],
        },
        "marks": {
            "mark": "".join(LETTERS[line.mark] for line in lines),
            "owner": "".join(LETTERS[line.owner] for line in lines),
            "statuses": statuses,
            "status": [statuses.index(line.status) for line in lines],
            "operations": operations,
            "operation": [operations.index(line.operation) for line in lines],
            "silent": [int(line.silent_seconds) for line in lines],
        },
    }


def _line(row: dict[str, Any], now: datetime) -> Line:
    interval = row["expected_interval_seconds"] or row["interval_seconds"] or settings.ROBOT_INTERVAL_SECONDS
    newest_is_v2 = row["last_v2_at"] is not None and row["last_v2_at"] == row["last_status_at"]
    report = read_operation(row["health"], row["payload"] if newest_is_v2 else None)
    return Line(
        robot_id=row["robot_id"],
        kind=row["kind"],
        site=row["site"],
        bucket=row["bucket"],
        mark=mark_of(liveness(row["last_seen_at"], interval, now), row["status"], report.operated),
        owner=row["last_side"],
        status=row["status"],
        operation=operation_words(report),
        silent_seconds=max(0.0, (now - row["last_seen_at"]).total_seconds()),
    )
