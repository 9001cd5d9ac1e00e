"""What autovacuum costs while a day of the log is written: `python -m benchmarks.vacuuming [--json FILE]`.

A writer a core commits heartbeats, 250 at a time, to a day as the keeper of the history makes it (which autovacuum
leaves alone until it is over) and to one as PostgreSQL has it by default, by turns. Autovacuum looks for work each
second here instead of each minute, because the day is full within seconds.
"""

import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import psycopg

from benchmarks import reporting
from benchmarks.retention import TODAY, database

HEARTBEATS, AT_ONCE, ROUNDS = 2_000_000, 250, 3
OURS, USUAL = "left alone until it is over", "as usual"
_INSERT = """
INSERT INTO heartbeat_heartbeat (spelling_id, received_at, boot_id, sequence, profile_id, call, role, side, address,
    status, battery_percent, cpu_temperature_celsius, cpu_load_percent, memory_percent, disk_percent, motors)
SELECT 1, %(midnight)s::timestamptz + n * interval '40 milliseconds', %(boot)s::integer, n, 1, 'heartbeat', 'owner',
    'new', '10.0.0.1', 'idle', random() * 100, random() * 50, random() * 100, random() * 100, random() * 100,
    ARRAY(SELECT (random() * 180)::real FROM generate_series(1, 13) WHERE n IS NOT NULL)
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
#: on the log's day, in seconds, and how often; what was written to the WAL
_SPENT = """
SELECT (SELECT (total_autovacuum_time + total_autoanalyze_time) / 1000 FROM pg_stat_user_tables WHERE relname = %s),
    (SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = %s),
    (SELECT wal_bytes FROM pg_stat_wal)
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one day took."""

    per_second: float
    vacuumed_seconds: float
    vacuums: int
    wal_megabytes: float


def main() -> int:
    """Run it, print the table, write the JSON."""
    asked = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "").parse_args()
    seen: dict[str, list[Seen]] = {OURS: [], USUAL: []}
    with database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        connection.execute("SELECT pg_reload_conf()")
        for number in range(ROUNDS):
            for place, (way, days) in enumerate(seen.items()):
                days.append(written(connection, TODAY + timedelta(days=1 + 2 * number + place), way))
    names = ("per_second", "vacuumed_seconds", "vacuums", "wal_megabytes")
    medians = {
        way: [statistics.median(getattr(one, name) for one in days) for name in names] for way, days in seen.items()
    }
    print(reporting.machine())
    head = ("a day is", "heartbeats/s", "vacuumed and analysed s", "vacuums", "WAL MB")
    print(reporting.table([head, *[(way, *[f"{value:,.1f}" for value in one]) for way, one in medians.items()]]))
    reporting.write({way: dict(zip(names, one, strict=True)) for way, one in medians.items()}, asked.json)
    return 0


def written(connection: psycopg.Connection, day: date, way: str) -> Seen:
    """Write a day in one way."""
    from heartbeat.history.partitions import day_name

    table = day_name(day)
    connection.execute("SELECT heartbeat_make_partition(%s::date)", (day,))
    if way == USUAL:
        as_usual(connection, table)
    _, _, wal = _spent(connection, table)
    began = time.monotonic()
    writers = os.cpu_count() or 1
    with ThreadPoolExecutor(writers) as pool:
        for each in [pool.submit(write, connection.info.dsn, day, number, writers) for number in range(writers)]:
            each.result()
    seconds = time.monotonic() - began
    vacuumed, vacuums, wal_after = _spent(connection, table)
    return Seen(HEARTBEATS / seconds, vacuumed, int(vacuums), float(wal_after - wal) / 1e6)


def write(dsn: str, day: date, number: int, writers: int) -> None:
    """What one of the writers commits."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for first in range(1 + number * AT_ONCE, HEARTBEATS, writers * AT_ONCE):
            given = {"midnight": day, "boot": day.toordinal(), "first": first, "last": first + AT_ONCE - 1}
            connection.execute(_INSERT, given)


def as_usual(connection: psycopg.Connection, table: str) -> None:
    """Take back all that a new day is given."""
    connection.execute(f"ALTER TABLE {table} RESET (autovacuum_vacuum_insert_threshold, autovacuum_freeze_min_age)")
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", (table,)
    )
    changes = ", ".join(f'ALTER "{name}" SET STATISTICS -1' for (name,) in rows)
    connection.execute(f"ALTER TABLE {table} {changes}")


def _spent(connection: psycopg.Connection, table: str) -> tuple[float, float, float]:
    row = connection.execute(_SPENT, (table, table)).fetchone()
    assert row is not None
    return row


if __name__ == "__main__":
    sys.exit(main())
