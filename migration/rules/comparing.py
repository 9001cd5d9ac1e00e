"""Comparing the rows of both systems. Two servers are never equal at one instant (DESIGN.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: what is compared by value; `last_seen` gets a bound instead
FIELDS = ("robot_id", "deployment_id", "version", "status", "message", "health", "current_version", "group")
#: how far the two `last_seen` may be apart: the bound on the forward lag (DESIGN.md, gate "Accuracy"), seconds
LAST_SEEN_BOUND_SECONDS = 2.0

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one row that is not the same in both systems."""

    robot_id: str
    field: str
    legacy: Any
    new: Any


def differences(robot_id: str, legacy: Row | None, new: Row | None) -> list[Difference]:
    """Compare one row field by field; a row that one side lacks is one difference, field `row`."""
    if legacy is None or new is None:
        return [Difference(robot_id, "row", "present" if legacy else "absent", "present" if new else "absent")]
    found = [
        Difference(robot_id, field, legacy.get(field), new.get(field))
        for field in FIELDS
        if legacy.get(field) != new.get(field) or (field in legacy) != (field in new)
    ]
    apart = _seconds_apart(legacy.get("last_seen"), new.get("last_seen"))
    if apart is None or apart > LAST_SEEN_BOUND_SECONDS:
        found.append(Difference(robot_id, "last_seen", legacy.get("last_seen"), new.get("last_seen")))
    return found


def confirmed(readings: Sequence[Mapping[str, Sequence[Difference]]]) -> list[Difference]:
    """Keep what differed in the same row and field in every reading; the rest was on its way."""
    if not readings:
        return []
    everywhere = set.intersection(
        *(
            {(robot, difference.field) for robot, found in reading.items() for difference in found}
            for reading in readings
        )
    )
    latest = readings[-1]
    return [
        difference
        for found in latest.values()
        for difference in found
        if (difference.robot_id, difference.field) in everywhere
    ]


def _seconds_apart(one: Any, other: Any) -> float | None:
    try:
        return abs((datetime.fromisoformat(one) - datetime.fromisoformat(other)).total_seconds())
    except (TypeError, ValueError):
        return None
