"""What landed in the default partition because its day had none: moved to where it belongs, while ingest writes on.

PostgreSQL makes no partition for a day of which the default one holds rows, and it reads the whole default partition
under an exclusive lock to find that out. So the rows are *copied* first, into a table that is no partition yet and
without a lock; then one short transaction copies the last moments, takes the old default partition away, puts the new
ones in its place (without a default partition nothing is read) and hangs up an empty default one. What the old one
was told in between is carried over afterwards. At every moment each row can be read exactly once, and a run that is
cut off at any point is finished by the next one.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import psycopg
import structlog
from psycopg import sql

from heartbeat.history.log import carry_over, copy
from heartbeat.history.partitions import (
    DEFAULT,
    LOG,
    attached,
    briefly,
    day_name,
    exists,
    midnight,
    run,
    tables_like,
)

log = structlog.get_logger(__name__)

FILLING, LEAVING = f"{LOG}_filling_", f"{LOG}_leaving"
SLICE = timedelta(minutes=10)
#: what may be left for the transaction that holds the lock
SHORT_REST = timedelta(seconds=2)
MOST_ROUNDS = 20


def empty(connection: psycopg.Connection) -> int:
    """Move everything out of the default partition; returns how many rows it held.

    Raises HistoryBusy when the lock was not to be had; then nothing has changed.
    """
    finish(connection)
    stretches = _stretches(connection, DEFAULT)
    if not stretches:
        return 0
    for name in tables_like(connection, FILLING):  # of a run that was cut off: begun anew
        run(connection, "DROP TABLE {table}", table=name)
    days = sorted(stretches)
    for day in days:
        _make_room(connection, day)
    rows, copied_to = _copy(connection, stretches)
    rows += briefly(connection, lambda: _swap(connection, copied_to))
    log.warning("history.default_emptied", rows=rows, days=[day.isoformat() for day in days])
    finish(connection)
    return rows


def finish(connection: psycopg.Connection) -> None:
    """Carry over what a default partition that was taken away holds beyond its copy, and drop it."""
    if exists(connection, LEAVING):
        for first, last in _stretches(connection, LEAVING).values():
            for start, end in _slices(first, last):
                carry_over(connection, LEAVING, start, end)
        run(connection, "DROP TABLE {table}", table=LEAVING)


def _stretches(connection: psycopg.Connection, table: str) -> dict[date, tuple[datetime, datetime]]:
    """The first and the last row of each day in `table`; it is read as a whole, without a lock that matters."""
    cursor = run(
        connection,
        "SELECT (received_at AT TIME ZONE 'UTC')::date, min(received_at), max(received_at) FROM {table} GROUP BY 1",
        table=table,
    )
    return {day: (first, last) for day, first, last in cursor}


def _slices(first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Short stretches that cover `first` to `last`, both included."""
    while first <= last:
        end = min(first + SLICE, last + timedelta(microseconds=1))
        yield first, end
        first = end


def _make_room(connection: psycopg.Connection, day: date) -> None:
    """A table that can become the partition of `day` without being read: like a sister of it, its bounds proven."""
    sister = next((name for name in reversed(attached(connection, LOG)) if name != DEFAULT), DEFAULT)
    row = connection.execute("SELECT reloptions FROM pg_class WHERE oid = %s::regclass", (sister,)).fetchone()
    options = row[0] if row and row[0] else []
    table = sql.Identifier(_filling(day))
    bounds = sql.SQL("received_at >= {} AND received_at < {}").format(midnight(day), midnight(day + timedelta(days=1)))
    with connection.transaction():
        run(connection, "CREATE TABLE {table} (LIKE {sister} INCLUDING ALL)", table=_filling(day), sister=sister)
        for option in options:
            connection.execute(sql.SQL("ALTER TABLE {} SET ({})").format(table, sql.SQL(option)))
        connection.execute(sql.SQL("ALTER TABLE {} ADD CONSTRAINT within_its_day CHECK ({})").format(table, bounds))


def _copy(
    connection: psycopg.Connection, stretches: dict[date, tuple[datetime, datetime]]
) -> tuple[int, dict[date, datetime]]:
    """Copy slice after slice until little is left; returns how many rows, and up to where each day is copied."""
    rows = 0
    copied_to: dict[date, datetime] = {}
    for _ in range(MOST_ROUNDS):
        longest = timedelta(0)
        for day, (earliest, last) in stretches.items():
            first = copied_to.get(day, earliest)
            longest = max(longest, last - first)
            for start, end in _slices(first, last):
                rows += copy(connection, DEFAULT, _filling(day), start, end)
                copied_to[day] = end
        if longest < SHORT_REST:
            break
        later = _stretches(connection, DEFAULT)
        stretches = {day: stretch for day, stretch in later.items() if day in copied_to}
    return rows, copied_to


def _swap(connection: psycopg.Connection, copied_to: dict[date, datetime]) -> int:
    """Put the copies in the place of the default partition; returns how many rows came since they were made."""
    rows = 0
    run(connection, "LOCK TABLE {log} IN ACCESS EXCLUSIVE MODE", log=LOG)
    for day, copied in copied_to.items():
        rows += copy(connection, DEFAULT, _filling(day), copied, midnight(day + timedelta(days=1)))
    run(connection, "ALTER TABLE {log} DETACH PARTITION {default}", log=LOG, default=DEFAULT)
    run(connection, "ALTER TABLE {default} RENAME TO {leaving}", default=DEFAULT, leaving=LEAVING)
    for day in copied_to:
        _attach(connection, day)
    run(connection, "CREATE TABLE {default} (LIKE {leaving} INCLUDING ALL)", default=DEFAULT, leaving=LEAVING)
    run(connection, "ALTER TABLE {log} ATTACH PARTITION {default} DEFAULT", log=LOG, default=DEFAULT)
    # Midnight may have passed while we copied: those rows are the next run's.
    rest = midnight(max(copied_to) + timedelta(days=1))
    copy(connection, LEAVING, DEFAULT, rest, rest + timedelta(days=1))
    return rows


def _attach(connection: psycopg.Connection, day: date) -> None:
    name = day_name(day)
    run(connection, "ALTER TABLE {filling} RENAME TO {name}", filling=_filling(day), name=name)
    bounds = sql.SQL("FOR VALUES FROM ({}) TO ({})").format(midnight(day), midnight(day + timedelta(days=1)))
    connection.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(sql.Identifier(LOG), sql.Identifier(name), bounds)
    )
    run(connection, "ALTER TABLE {name} DROP CONSTRAINT within_its_day", name=name)


def _filling(day: date) -> str:
    return f"{FILLING}{day:%Y%m%d}"
