"""Dropping what has served its time, without holding up who writes.

`DETACH PARTITION … CONCURRENTLY` is refused while there is a default partition, and without one a missing partition
would refuse heartbeats. So a day is detached plainly, which is a change of the catalogue and takes milliseconds, by a
transaction that never waits longer for its lock than an insert may wait for us. The files go afterwards, when the table
is nobody's part any more. `benchmarks.retention` measures what inserts notice of it, beside the other ways.
"""

from datetime import date, datetime

import psycopg
import structlog

from heartbeat.errors import HistoryBusy
from heartbeat.history import partitions, rollup
from heartbeat.history.partitions import LOG, MINUTES, briefly, day_name, month_name, run, tables_like
from heartbeat.rules.history import expired

log = structlog.get_logger(__name__)

GONE = "_gone_"


def drop_days(connection: psycopg.Connection, now: datetime, keep_days: int) -> tuple[list[date], list[str]]:
    """Drop the days of the log beyond `keep_days`; returns them, and sentences on those that had to stay.

    A day stays whose heartbeats are not all in the rollups.
    """
    dropped, kept = [], []
    for span in expired(partitions.days(connection), now.date(), keep_days):
        day = span.start
        if not rollup.is_complete(connection, day):
            kept.append(f"{day} stays: not all of its heartbeats are in the rollups")
            log.error("history.day_not_rolled_up", day=day.isoformat())
            continue
        try:
            detach(connection, LOG, day_name(day))
        except HistoryBusy as busy:
            kept.append(f"{day} stays until the next run: {busy}")
            break
        dropped.append(day)
        log.info("history.day_dropped", day=day.isoformat())
    drop_detached(connection, LOG)
    return dropped, kept


def drop_months(connection: psycopg.Connection, now: datetime, keep_days: int) -> tuple[list[date], list[str]]:
    """Drop the months of rollups beyond `keep_days`; returns them, and sentences on those that had to stay."""
    dropped, kept = [], []
    for span in expired(partitions.months(connection), now.date(), keep_days):
        try:
            detach(connection, MINUTES, month_name(span.start))
        except HistoryBusy as busy:
            kept.append(f"{span.start:%Y-%m} stays until the next run: {busy}")
            break
        dropped.append(span.start)
        log.info("history.month_dropped", month=f"{span.start:%Y-%m}")
    drop_detached(connection, MINUTES)
    return dropped, kept


def drop_detached(connection: psycopg.Connection, parent: str) -> None:
    """Drop the tables that were detached, by this run or by one that was cut off before it came to this."""
    for table in tables_like(connection, f"{parent}{GONE}"):
        run(connection, "DROP TABLE {table}", table=table)


def detach(connection: psycopg.Connection, parent: str, name: str) -> None:
    """Take a partition off its table and name it as one to be dropped; HistoryBusy if that was not to be had."""
    gone = name.replace(f"{parent}_", f"{parent}{GONE}")

    def change() -> None:
        run(connection, "ALTER TABLE {parent} DETACH PARTITION {name}", parent=parent, name=name)
        run(connection, "ALTER TABLE {name} RENAME TO {gone}", name=name, gone=gone)

    briefly(connection, change)
