"""Comparing the rows of both systems. Two servers are never equal at one instant (DESIGN.md)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from heartbeat.rules.rows import OFFLINE_MARK

#: fields with a bound instead of equality: each system stamps them with its own clock, at its own moment
CLOCK_FIELDS = ("last_seen",)
#: how far the two `last_seen` may be apart: the bound on the forward lag (DESIGN.md, gate "Accuracy"), seconds
LAST_SEEN_BOUND_SECONDS = 2.0
#: the field of a difference that is a whole row (or deployment) which one side lacks
WHOLE = "row"

Row = Mapping[str, Any]
#: one reading of a row: legacy's and new's, None where there is none
Reading = tuple[Row | None, Row | None]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one row that is not the same in both systems."""

    robot_id: str
    field: str
    legacy: Any
    new: Any


def canonical(value: Any) -> str:
    """The JSON text of a value by which it is compared: keys sorted, and 1, 1.0 and true are three values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def compared_fields(row: Row) -> dict[str, Any]:
    """What of a row is compared by value: every field that it has, but the clock's."""
    return {name: value for name, value in row.items() if name not in CLOCK_FIELDS}


def differences(robot_id: str, legacy: Row | None, new: Row | None) -> list[Difference]:
    """Compare one row field by field; a row that one side lacks is one difference, field `row`."""
    return never_met(robot_id, [(legacy, new)])


def never_met(robot_id: str, readings: Sequence[Reading]) -> list[Difference]:
    """The fields of a row that were not equal in any of the readings, nor between two of them.

    What one system said in one reading and the other in a later one is on its way, not different: the readings
    together last longer than the lag that is allowed. Values told are those of the latest reading.
    """
    if not readings:
        return []
    rows = [legacy for legacy, _ in readings if legacy is not None]
    others = [new for _, new in readings if new is not None]
    legacy, new = readings[-1]
    if not rows and not others:
        return []
    if not rows or not others or (legacy is None) != (new is None):
        if any((one is None) == (other is None) for one, other in readings):
            return []
        return [Difference(robot_id, WHOLE, _presence(legacy), _presence(new))]
    return list(_fields_never_met(robot_id, rows, others))


def seconds_apart(one: Any, other: Any) -> float | None:
    """How far two clock readings are apart; None when either is none."""
    try:
        return abs((datetime.fromisoformat(one) - datetime.fromisoformat(other)).total_seconds())
    except (TypeError, ValueError):
        return None


def are_within_bound(one: Any, other: Any) -> bool:
    """Whether two clock readings are as near as is allowed; what is no time has to be equal."""
    apart = seconds_apart(one, other)
    return one == other if apart is None else apart <= LAST_SEEN_BOUND_SECONDS


def _fields_never_met(robot_id: str, rows: Sequence[Row], others: Sequence[Row]) -> Iterator[Difference]:
    for field in dict.fromkeys(name for row in (*rows, *others) for name in row):
        ours, theirs = ([(row.get(field), field in row) for row in side] for side in (rows, others))
        if field in CLOCK_FIELDS:
            met = any(are_within_bound(one, other) for one, _ in ours for other, _ in theirs)
        else:
            met = not {_mark(*one) for one in ours}.isdisjoint(_mark(*other) for other in theirs)
        if not met and not (field == "health" and ours[-1][0] == OFFLINE_MARK):
            yield Difference(robot_id, field, ours[-1][0], theirs[-1][0])


def _mark(value: Any, is_there: bool) -> str:
    return canonical(value) if is_there else "absent"


def _presence(row: Row | None) -> str:
    return "absent" if row is None else "present"
