"""Finding for every row of one system the same row of the other."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from migration.rules.comparing import Row, canonical, seconds_apart

#: two rows without an id are taken for the same one when their clock readings are no further apart, seconds
SAME_MOMENT_SECONDS = 2.0


def by_id(legacy: Iterable[Row], new: Iterable[Row]) -> tuple[dict[str, Row], dict[str, Row]]:
    """Both systems' rows by their exact ids.

    A row without an id (made by an update check alone) gets a name: those of both systems that say the same at about
    the same moment get the same one.
    """
    named: tuple[dict[str, Row], dict[str, Row]] = ({}, {})
    nameless: tuple[defaultdict[str, list[Row]], defaultdict[str, list[Row]]] = (defaultdict(list), defaultdict(list))
    for rows, known, others in zip((legacy, new), named, nameless, strict=True):
        for row in rows:
            robot_id = row.get("robot_id")
            if isinstance(robot_id, str):
                known[robot_id] = row
            else:
                others[canonical([row.get("current_version"), row.get("group")])].append(row)
    for said in sorted({*nameless[0], *nameless[1]}):
        for number, pair in enumerate(_paired(nameless[0][said], nameless[1][said]), 1):
            name = f"(row without an id {said}, {number})"
            for known, said_by in zip(named, pair, strict=True):
                if said_by is not None:
                    known[name] = said_by
    return named


def can_be_read_alone(robot_id: str) -> bool:
    """Whether `GET /api/robots/{id}` can name it: not a row without an id, an empty id, one with a slash, or dots."""
    return bool(robot_id) and "/" not in robot_id and robot_id not in (".", "..") and not robot_id.startswith("(row ")


def _paired(legacy: Sequence[Row], new: Sequence[Row]) -> list[tuple[Row | None, Row | None]]:
    """Rows that say the same, each with the one of the other system that was seen at the same moment."""
    ours, theirs = sorted(legacy, key=_seen), sorted(new, key=_seen)
    pairs: list[tuple[Row | None, Row | None]] = []
    left = right = 0
    while left < len(ours) and right < len(theirs):
        apart = seconds_apart(ours[left].get("last_seen"), theirs[right].get("last_seen"))
        if apart is None or apart <= SAME_MOMENT_SECONDS:
            pairs.append((ours[left], theirs[right]))
            left, right = left + 1, right + 1
        elif _seen(ours[left]) < _seen(theirs[right]):
            pairs.append((ours[left], None))
            left += 1
        else:
            pairs.append((None, theirs[right]))
            right += 1
    return [*pairs, *((row, None) for row in ours[left:]), *((None, row) for row in theirs[right:])]


def _seen(row: Mapping[str, Any]) -> str:
    return str(row.get("last_seen") or "")
