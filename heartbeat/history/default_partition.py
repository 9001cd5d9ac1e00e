"""What landed in the default partition because its day had none: moved to where it belongs, while ingest writes on.

PostgreSQL makes no partition for a day of which the default one holds rows, and it reads the whole default partition
under an exclusive lock to find that out. So the rows are *copied* first, into a table that is no partition yet and
without a lock; then one short transaction copies the last moments, takes the old default partition away, puts the new
ones in its place (without a default partition nothing is read) and hangs up an empty default one. What the old one
was told in between is carried over afterwards. At every moment each row can be read exactly once, and a run that is
cut off at any point is finished by the next one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

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
    summarise,
    tables_like,
)

log = structlog.get_logger(__name__)

FILLING, LEAVING = f"{LOG}_filling_", f"{LOG}_leaving"
ROWS_AT_ONCE = 50_000
#: what may be left for the transaction that holds the lock
FEW_ROWS = 2_000
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
    summarise(connection, DEFAULT)
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
        summarise(connection, LEAVING)
        for stretch in _stretches(connection, LEAVING).values():
            for start, end in stretch.pieces():
                carry_over(connection, LEAVING, start, end)
        run(connection, "DROP TABLE {table}", table=LEAVING)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Rows of one day: received from `first` to `last`, both included."""

    first: datetime
    last: datetime
    rows: int

    def pieces(self) -> Iterator[tuple[datetime, datetime]]:
        """Equal pieces that one statement takes, start included, end excluded; the last one ends just after `last`."""
        count = math.ceil(self.rows / ROWS_AT_ONCE)
        edges = [self.first + (self.last - self.first) * number / count for number in range(count)]
        return pairwise([*edges, self.last + timedelta(microseconds=1)])


def _stretches(connection: psycopg.Connection, table: str, since: datetime | None = None) -> dict[date, _Stretch]:
    """What `table` holds of each day, received from `since` on; it is read as a whole, without a lock that matters."""
    rows = connection.execute(
        sql.SQL(
            "SELECT (received_at AT TIME ZONE 'UTC')::date, min(received_at), max(received_at), count(*) FROM {}"
            " WHERE received_at >= %s GROUP BY 1"
        ).format(sql.Identifier(table)),
        (since or "-infinity",),
    )
    return {day: _Stretch(*found) for day, *found in rows}


def _make_room(connection: psycopg.Connection, day: date) -> None:
    """A table that can become the partition of `day` without being read: like a sister of it, its bounds proven."""
    sister = next((name for name in reversed(attached(connection, LOG)) if name != DEFAULT), DEFAULT)
    row = connection.execute("SELECT reloptions FROM pg_class WHERE oid = %s::regclass", (sister,)).fetchone()
    options = row[0] if row and row[0] else []
    table = sql.Identifier(_filling(day))
    bounds = sql.SQL("received_at >= {} AND received_at < {}").format(midnight(day), midnight(day + timedelta(days=1)))
    with connection.transaction():
        run(connection, "CREATE TABLE {table} (LIKE {sister} INCLUDING ALL)", table=_filling(day), sister=sister)
        run(connection, sql.SQL("SELECT heartbeat_spare({})").format(_filling(day)))
        for option in options:
            connection.execute(sql.SQL("ALTER TABLE {} SET ({})").format(table, sql.SQL(option)))
        connection.execute(sql.SQL("ALTER TABLE {} ADD CONSTRAINT within_its_day CHECK ({})").format(table, bounds))


def _copy(connection: psycopg.Connection, stretches: dict[date, _Stretch]) -> tuple[int, dict[date, datetime]]:
    """Copy piece after piece until little is left; returns how many rows, and up to where each day is copied."""
    rows = 0
    copied_to: dict[date, datetime] = {}
    for _ in range(MOST_ROUNDS):
        for day, stretch in stretches.items():
            for start, end in stretch.pieces():
                rows += copy(connection, DEFAULT, _filling(day), start, end)
                copied_to[day] = end
        more = sum(stretch.rows for stretch in stretches.values())
        if more < FEW_ROWS:
            break
        stretches = {day: one for day, at in copied_to.items() if (one := _since(connection, day, at)) is not None}
    return rows, copied_to


def _since(connection: psycopg.Connection, day: date, at: datetime) -> _Stretch | None:
    return _stretches(connection, DEFAULT, at).get(day)


def _swap(connection: psycopg.Connection, copied_to: dict[date, datetime]) -> int:
    """Put the copies in the place of the default partition; returns how many rows came since they were made."""
    rows = 0
    run(connection, "LOCK TABLE ONLY {log} IN ACCESS EXCLUSIVE MODE", log=LOG)
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
