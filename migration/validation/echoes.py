"""Legacy's rows that say what `new` told it are compared by the time of what was told, not of the telling."""

from heartbeat.rules.identity import row_key_of
from migration.rules.comparing import CLOCK_FIELDS, Reading, Row, are_within_bound
from migration.rules.echoing import in_the_robots_time
from migration.syncing.storing import told_to_legacy
from migration.validation.reading import Rows


def apart_in_time(rows: Rows) -> list[str]:
    """The ids of rows that both systems have and whose clock fields are further apart than is allowed."""
    return [
        robot_id for robot_id, row in rows.legacy.items() if (other := rows.new.get(robot_id)) and _is_apart(row, other)
    ]


def put_in_their_time(rows: Rows) -> None:
    """Correct the clock fields of legacy's rows that are apart because `new` told them later."""
    apart = apart_in_time(rows)
    if not apart:
        return
    told = told_to_legacy(map(row_key_of, apart))
    for robot_id in apart:
        rows.legacy[robot_id] = in_the_robots_time(rows.legacy[robot_id], told.get(row_key_of(robot_id), ()))


def in_their_time(robot_id: str, reading: Reading) -> Reading:
    """The same of one row that was read alone."""
    legacy, new = reading
    if legacy is None or new is None or not _is_apart(legacy, new):
        return reading
    key = row_key_of(robot_id)
    return in_the_robots_time(legacy, told_to_legacy([key]).get(key, ())), new


def _is_apart(one: Row, other: Row) -> bool:
    return any(not are_within_bound(one.get(field), other.get(field)) for field in CLOCK_FIELDS)
