"""The fleet as the picture and the tables show it: a line per robot, and what is different between two moments."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from heartbeat.rules.liveness import Liveness
from teleop.rules.reading import Host, OperationReport


class Mark(StrEnum):
    """What a robot's cell shows; the worst that is true of it."""

    SILENT = "silent"
    FAILED = "failed"
    LATE = "late"
    NEVER = "never"
    DRIVEN = "driven"
    ONLINE = "online"


class Line(NamedTuple):
    """One robot as it travels to a page: a column of the feed for each field.

    `owner` is who owned its latest call as the door said it, "" when it did not come through the door. `silent_since`
    is told only of a robot that is not online: the others are heard all the time, which no page needs to be told.
    """

    id: str
    kind: str
    site: str
    bucket: int | None
    every: float
    mark: str
    liveness: str
    silent_since: int | None
    owner: str
    status: str
    operation: str
    version: str
    battery: int | None


#: what the summary counts
COUNTED = ("mark", "liveness", "owner", "kind", "status", "operation")


@dataclass(frozen=True)
class Fleet:
    """All robots at one moment, in an order that does not change: who comes later stands later."""

    at: str
    lines: tuple[Line, ...]

    @cached_property
    def summary(self) -> dict[str, Any]:
        """How many robots there are, and how many have each value of what can be counted."""
        columns = list(zip(*self.lines, strict=True)) or [()] * len(Line._fields)
        counted = {name: dict(Counter(columns[Line._fields.index(name)]).most_common()) for name in COUNTED}
        without_bucket = sum(1 for line in self.lines if line.bucket is None)
        return {"robots": len(self.lines), "without_bucket": without_bucket, **counted}

    def whole(self) -> dict[str, Any]:
        """`summary`, and `columns`: a list of values for each field of a line."""
        columns = list(zip(*self.lines, strict=True)) or [()] * len(Line._fields)
        return {"summary": self.summary, "columns": dict(zip(Line._fields, columns, strict=True))}

    def change(self, before: "Fleet") -> dict[str, Any] | None:
        """`summary` where it is different, `changed`: by field the new values, each with the places that have it, as
        distances from the place before; `added`: columns of the robots that are new. None when one has left."""
        kept = len(before.lines)
        if len(self.lines) < kept:
            return None
        found: dict[str, Any] = {}
        if summary := {name: value for name, value in self.summary.items() if before.summary[name] != value}:
            found["summary"] = summary
        if changed := _differences(before.lines, self.lines[:kept]):
            found["changed"] = changed
        if added := list(zip(*self.lines[kept:], strict=True)):
            found["added"] = dict(zip(Line._fields, added, strict=True))
        return found


def _differences(before: Sequence[Line], now: Sequence[Line]) -> dict[str, list[tuple[Any, list[int]]]]:
    places = [place for place, (old, new) in enumerate(zip(before, now, strict=True)) if old is not new and old != new]
    found = {}
    for column, name in enumerate(Line._fields):
        by_value: dict[Any, list[int]] = {}
        for place in places:
            value = now[place][column]
            if before[place][column] != value:
                by_value.setdefault(value, []).append(place)
        if by_value:
            found[name] = [(value, _distances(own)) for value, own in by_value.items()]
    return found


def _distances(places: Sequence[int]) -> list[int]:
    return [place - earlier for place, earlier in zip(places, [0, *places], strict=False)]


def mark_of(alive: Liveness, status: str, operated: bool | None) -> Mark:
    """Silence is worse than a reported failure, that is worse than being late; else, whether somebody drives."""
    if alive is Liveness.NEVER:
        return Mark.NEVER
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
