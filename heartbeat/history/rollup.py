"""One-minute rollups: what is received is added to the minutes it speaks of, exactly once.

The log is read in the order of arrival, one closed stretch after another, and how far it was read is stored in the
same commit: a run that is cut off is continued, none is counted twice. A heartbeat that arrives late is *added* to
its old minute, so that works as well when the heartbeats which made that minute have been dropped long ago.
"""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import psycopg
import structlog
from psycopg import errors, sql

from heartbeat.history import partitions
from heartbeat.history.log import BY_INDEX
from heartbeat.history.partitions import LOG, day_name, holds_rows, make_months, midnight, run
from heartbeat.models.heartbeat_minute import MEASURES

log = structlog.get_logger(__name__)

#: stamped, and not yet committed: ingest gives up a commit after less than one second
SETTLING = timedelta(seconds=10)
SHORTEST_SLICE, LONGEST_SLICE = timedelta(minutes=1), timedelta(hours=12)
#: what one statement should read: fewer, and the next stretch is longer; more, and it is shorter
FEW_ROWS, MANY_ROWS = 20_000, 200_000

#: when it was so: `at` is there only for what came late, and `least` passes a null over
_WAS_SO = "least(h.at, h.received_at)"
_GROUPED = f"""
grouped AS MATERIALIZED (
    SELECT spelling.robot_key, date_trunc('minute', {_WAS_SO}) AS minute, count(*) AS rows,
        count(*) FILTER (WHERE h.call <> 'check_update') AS heartbeats,
        count(*) FILTER (WHERE h.call = 'check_update') AS update_checks,
        count(*) FILTER (WHERE h.at < h.received_at) AS late,
        (array_agg(h.status ORDER BY {_WAS_SO} DESC) FILTER (WHERE h.status IS NOT NULL))[1] AS last_status,
        max({_WAS_SO}) FILTER (WHERE h.status IS NOT NULL) AS last_status_at,
        {
    ", ".join(
        f"nullif(count(h.{name}), 0) AS {name}_count, min(h.{name}) AS {name}_min,"
        f" avg(h.{name}) AS {name}_avg, max(h.{name}) AS {name}_max"
        for name in MEASURES
    )
}
    FROM {{table}} h JOIN heartbeat_spelling spelling ON spelling.id = h.spelling_id
    WHERE {{which}}
    GROUP BY 1, 2
)"""
_COLUMNS = ", ".join(
    [
        *("robot_key", "minute", "heartbeats", "update_checks", "late", "last_status", "last_status_at"),
        *(f"{name}_{part}" for name in MEASURES for part in ("count", "min", "avg", "max")),
    ]
)


def _merged(name: str) -> str:
    """SET clauses that add to a measure what came since; a null on either side leaves the other one."""
    mine, more = f"m.{name}", f"excluded.{name}"
    both = f"coalesce({mine}_count, 0) + coalesce({more}_count, 0)"
    total = f"coalesce({mine}_avg * {mine}_count::float8, 0) + coalesce({more}_avg * {more}_count::float8, 0)"
    return f"""{name}_count = nullif({both}, 0), {name}_avg = ({total}) / nullif({both}, 0),
        {name}_min = least({mine}_min, {more}_min), {name}_max = greatest({mine}_max, {more}_max)"""


_LATER = "coalesce(excluded.last_status_at >= m.last_status_at, excluded.last_status_at IS NOT NULL)"
_ADDED = f"""
added AS (
    INSERT INTO heartbeat_minute AS m ({_COLUMNS})
    SELECT {_COLUMNS} FROM grouped WHERE minute >= %(oldest)s ORDER BY robot_key, minute
    ON CONFLICT (robot_key, minute) DO UPDATE SET
        heartbeats = m.heartbeats + excluded.heartbeats,
        update_checks = m.update_checks + excluded.update_checks,
        late = m.late + excluded.late,
        last_status = CASE WHEN {_LATER} THEN excluded.last_status ELSE m.last_status END,
        last_status_at = greatest(m.last_status_at, excluded.last_status_at),
        {", ".join(map(_merged, MEASURES))}
)"""

_RECEIVED = "h.received_at >= %(start)s AND h.received_at < %(end)s"
ADD = f"""WITH {_GROUPED.format(table="{table}", which=_RECEIVED)}, {_ADDED}
SELECT coalesce(sum(rows), 0)::bigint, count(*) FROM grouped"""

#: a day again, from all heartbeats that speak of it and were in the rollups before
AGAIN = f"""WITH {
    _GROUPED.format(
        table=LOG,
        which=f"{_WAS_SO} >= %(start)s AND {_WAS_SO} < %(end)s"
        " AND h.received_at >= %(start)s AND h.received_at < %(read_to)s",
    )
}, {_ADDED}
SELECT coalesce(sum(rows), 0)::bigint, count(*) FROM grouped"""

_BEGIN = "INSERT INTO heartbeat_rolled_up_day (day, upto, rows) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING"
_GO_ON = "UPDATE heartbeat_rolled_up_day SET upto = %s, rows = rows + %s WHERE day = %s"


@dataclass(slots=True)
class RolledUp:
    """What a run did."""

    heartbeats: int = 0
    minutes: int = 0


def roll_up(connection: psycopg.Connection, now: datetime, keep_days: int, *, seconds: float = 45.0) -> RolledUp:
    """Add what was received in closed minutes to the rollups, for at most about `seconds`; the next run goes on.

    What speaks of a time more than `keep_days` ago is passed over: its month has been dropped.
    """
    done, deadline = RolledUp(), time.monotonic() + seconds
    oldest = midnight(now.date() - timedelta(days=keep_days))
    closed = _closed(connection, now)
    make_months(connection, {now.date(), (now + timedelta(days=31)).date()})
    for span in partitions.days(connection):
        if span.heard and not _roll_up_day(connection, span.start, closed, oldest=oldest, done=done, deadline=deadline):
            break
    return done


def is_complete(connection: psycopg.Connection, day: date) -> bool:
    """Whether all heartbeats received on `day` are in the rollups.

    Counts them: one that was stored with a time that had been read already, as after a step of the server's clock,
    is found here, and the day is rolled up again with it.
    """
    if not holds_rows(connection, day_name(day)):
        return True
    upto, rows = _progress(connection, day)
    if upto is None or upto < _end_of(day):
        return False
    counted = run(connection, "SELECT count(*) FROM {table}", table=day_name(day)).fetchone()
    if counted and counted[0] != rows:
        _again(connection, day, int(counted[0]))
    return True


def progress_of(connection: psycopg.Connection, day: date) -> datetime | None:
    """Up to where what was received on `day` is in the rollups; None before the first time."""
    return _progress(connection, day)[0]


def _progress(
    connection: psycopg.Connection, day: date, lock: Literal["", "FOR UPDATE"] = ""
) -> tuple[datetime | None, int]:
    found = connection.execute(f"SELECT upto, rows FROM heartbeat_rolled_up_day WHERE day = %s {lock}", (day,))
    row = found.fetchone()
    return (row[0], row[1]) if row else (None, 0)


def _closed(connection: psycopg.Connection, now: datetime) -> datetime:
    """The end of the latest minute to which nothing can be added that is received from now on, or is being stored.

    A commit that hangs holds it back.
    """
    row = connection.execute(
        "SELECT min(xact_start) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
    ).fetchone()
    began = row[0] if row and row[0] else now
    return (min(now, began) - SETTLING).replace(second=0, microsecond=0)


def _roll_up_day(
    connection: psycopg.Connection, day: date, closed: datetime, *, oldest: datetime, done: RolledUp, deadline: float
) -> bool:
    """Add what of a day is closed and not yet in; returns False when time was up before the end of it."""
    length, last = SHORTEST_SLICE, min(closed, _end_of(day))
    if (progress_of(connection, day) or midnight(day)) >= last:
        return True
    partitions.summarise(connection, day_name(day))
    while (rows_and_minutes := _add(connection, day, length, last, oldest)) is not None:
        rows, minutes = rows_and_minutes
        done.heartbeats += rows
        done.minutes += minutes
        if rows < FEW_ROWS:
            length = min(length * 2, LONGEST_SLICE)
        elif rows > MANY_ROWS:
            length = max(length / 2, SHORTEST_SLICE)
        if time.monotonic() > deadline:
            return False
    return True


def _add(
    connection: psycopg.Connection, day: date, length: timedelta, last: datetime, oldest: datetime
) -> tuple[int, int] | None:
    """Add the next stretch of a day, at most `length` and up to `last`: heartbeats and minutes, or None if it is in."""
    # The partition and not the log: all that was received on the day is there, and fewer tables are planned for.
    add = sql.SQL(ADD).format(table=sql.Identifier(day_name(day)))
    while True:
        try:
            with connection.transaction():
                # Locked: two readers at once would both count what follows.
                connection.execute(_BEGIN, (day, midnight(day)))
                start, _ = _progress(connection, day, "FOR UPDATE")
                if start is None or start >= last:
                    return None
                connection.execute(BY_INDEX)
                given = {"start": start, "end": min(start + length, last), "oldest": oldest}
                rows, minutes = connection.execute(add, given).fetchone() or (0, 0)
                connection.execute(_GO_ON, (given["end"], rows, day))
                return rows, minutes
        except errors.CheckViolation:  # a month that nobody has made: a heartbeat came very late
            make_months(connection, _months_of(connection, given))


def _months_of(connection: psycopg.Connection, given: dict[str, Any]) -> list[date]:
    """The months that a stretch of the log speaks of."""
    rows = connection.execute(
        f"SELECT DISTINCT date_trunc('month', {_WAS_SO}, 'UTC') FROM {LOG} h"
        f" WHERE {_RECEIVED} AND {_WAS_SO} >= %(oldest)s",
        given,
    )
    return [month.astimezone(UTC).date() for (month,) in rows]


def _again(connection: psycopg.Connection, day: date, rows: int) -> None:
    """Make the minutes of a day anew, `rows` being what its partition holds."""
    start, end = midnight(day), _end_of(day)
    read_to = end
    while (upto := progress_of(connection, read_to.date())) is not None and upto > read_to:
        complete = upto >= _end_of(read_to.date())
        read_to = upto
        if not complete:
            break
    with connection.transaction():
        connection.execute("DELETE FROM heartbeat_minute WHERE minute >= %s AND minute < %s", (start, end))
        connection.execute(AGAIN, {"start": start, "end": end, "read_to": read_to, "oldest": start})
        connection.execute("UPDATE heartbeat_rolled_up_day SET rows = %s WHERE day = %s", (rows, day))
    log.warning("history.day_rolled_up_again", day=day.isoformat(), rows=rows)


def _end_of(day: date) -> datetime:
    return midnight(day + timedelta(days=1))
