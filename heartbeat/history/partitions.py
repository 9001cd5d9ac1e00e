"""Partitions of the log (one a UTC day) and of the rollups (one a month): which there are, and those to come."""

import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString, TypeVar

import psycopg
import structlog
from psycopg import errors, sql

from heartbeat.errors import HistoryBusy
from heartbeat.rules.history import Span, day_span, month_span

log = structlog.get_logger(__name__)

LOG, DEFAULT, MINUTES = "heartbeat_heartbeat", "heartbeat_heartbeat_default", "heartbeat_minute"
DAYS_AHEAD = 7
#: of a day that is being written (migration 0009_days_being_written): inserts do not call autovacuum
HELD_BACK = "autovacuum_vacuum_insert_threshold=-1"
#: what an insert waits for us at most; the door gives ingest a second
LOCK_TIMEOUT_MILLISECONDS = 50
PATIENCE_SECONDS = 20.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0

_DAY = re.compile(rf"{LOG}_(\d{{8}})")
_MONTH = re.compile(rf"{MINUTES}_(\d{{6}})")

Done = TypeVar("Done")


def run(connection: psycopg.Connection, statement: LiteralString | sql.Composed, **names: str) -> psycopg.Cursor:
    """Run a statement with `names` put in as identifiers."""
    if isinstance(statement, str) and names:
        statement = sql.SQL(statement).format(**{name: sql.Identifier(value) for name, value in names.items()})
    return connection.execute(statement)


def briefly(connection: psycopg.Connection, action: Callable[[], Done]) -> Done:
    """Run `action` in a transaction that waits for a lock at most `LOCK_TIMEOUT_MILLISECONDS`, again until it is given.

    A lock that is waited for is a queue: whoever comes after us waits as well, ingest first of all. So we stand in it
    for a moment, leave, and come back. Raises HistoryBusy when `PATIENCE_SECONDS` have passed.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = SHORTEST_PAUSE_SECONDS
    while True:
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MILLISECONDS}")
                return action()
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            if time.monotonic() > deadline:
                raise HistoryBusy(f"no lock within {PATIENCE_SECONDS:g} s: somebody reads the history") from error
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def summarise(connection: psycopg.Connection, table: str) -> None:
    """Let the BRIN indexes of `table` know the pages written since: until then every look-up reads those as a whole.

    Autovacuum does that too, but only when a fifth of the table is new.
    """
    # Somebody else's lock is autovacuum's, which is doing just this.
    with suppress(errors.LockNotAvailable), connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MILLISECONDS}")
        connection.execute(
            "SELECT brin_summarize_new_values(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'brin' AND i.indrelid = %s::regclass",
            (table,),
        )


def attached(connection: psycopg.Connection, parent: str) -> list[str]:
    """Names of the partitions of `parent`, in order."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = %s::regclass ORDER BY c.relname",
        (parent,),
    )
    return [name for (name,) in rows]


def day_name(day: date) -> str:
    """The partition of a day."""
    return f"{LOG}_{day:%Y%m%d}"


def month_name(month: date) -> str:
    """The partition of a month."""
    return f"{MINUTES}_{month:%Y%m}"


def midnight(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def days(connection: psycopg.Connection) -> list[Span]:
    """The days that have a partition, oldest first."""
    return [day_span(_date(found), heard=heard) for found, heard in _spans(connection, LOG, _DAY)]


def months(connection: psycopg.Connection) -> list[Span]:
    """The months that have a partition of rollups, oldest first."""
    return [month_span(_date(found + "01"), heard=heard) for found, heard in _spans(connection, MINUTES, _MONTH)]


def make_ahead(connection: psycopg.Connection, today: date) -> list[date]:
    """Make the partitions of today and the days to come; returns those that were not there.

    The default partition must not hold rows of them (`default_partition.empty`).
    """
    there = set(attached(connection, LOG))
    coming = [today + timedelta(days=number) for number in range(DAYS_AHEAD + 1)]
    missing = [day for day in coming if day_name(day) not in there]
    for day in missing:
        briefly(connection, lambda day=day: connection.execute("SELECT heartbeat_make_partition(%s::date)", (day,)))
        log.info("history.partition_made", day=day.isoformat())
    return missing


def let_be_vacuumed(connection: psycopg.Connection, today: date) -> list[date]:
    """Give the days that are over to autovacuum, which leaves them alone while they are written; returns them.

    Vacuuming a table as it grows writes each of its pages once more, beside whoever writes (`benchmarks.vacuuming`).
    A day that is over is vacuumed and frozen once, and never touched again.
    """
    days = [name for name in attached(connection, LOG) if _DAY.fullmatch(name) and name < day_name(today)]
    held_back = connection.execute(
        "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND reloptions @> ARRAY[%s] ORDER BY relname",
        (days, HELD_BACK),
    )
    over = [name for (name,) in held_back]
    reset: LiteralString = "ALTER TABLE {day} RESET (autovacuum_vacuum_insert_threshold)"
    for name in over:
        briefly(connection, lambda name=name: run(connection, reset, day=name))
    return [_date(name.removeprefix(f"{LOG}_")) for name in over]


def make_months(connection: psycopg.Connection, wanted: Iterable[date]) -> None:
    """Make the rollups' partitions of these months, where they are missing."""
    there = set(attached(connection, MINUTES))
    for month in sorted(set(wanted)):
        if month_name(month) not in there:
            briefly(
                connection,
                lambda month=month: connection.execute("SELECT heartbeat_make_minute_partition(%s::date)", (month,)),
            )


def _spans(connection: psycopg.Connection, parent: str, pattern: re.Pattern[str]) -> list[tuple[str, bool]]:
    found = [(match[1], name) for name in attached(connection, parent) if (match := pattern.fullmatch(name))]
    return [(digits, holds_rows(connection, name)) for digits, name in sorted(found)]


def holds_rows(connection: psycopg.Connection, table: str) -> bool:
    """Whether a table holds any row."""
    return bool(_one(run(connection, "SELECT EXISTS (SELECT FROM {table})", table=table))[0])


def exists(connection: psycopg.Connection, table: str) -> bool:
    """Whether there is such a table."""
    return bool(_one(connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)))[0])


def tables_like(connection: psycopg.Connection, prefix: str) -> list[str]:
    """Names of the tables that begin with `prefix`."""
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND starts_with(relname, %s) ORDER BY relname", (prefix,)
    )
    return [name for (name,) in rows]


def _one(cursor: psycopg.Cursor) -> Sequence[Any]:
    row = cursor.fetchone()
    assert row is not None
    return row


def _date(digits: str) -> date:
    return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC).date()
