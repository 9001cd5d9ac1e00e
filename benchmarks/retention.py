"""What inserts notice of keeping the history: `python -m benchmarks.retention [--json FILE]`.

One writer commits single rows while a day is dropped, and while rows are moved out of the default partition, each
beside the plain ways to do the same, with and without somebody who reads the history for some seconds.
"""

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg

from benchmarks import reporting
from embedded.places import runtime_directory
from embedded.postgres import Postgres

ROWS = 200_000
READ_SECONDS = 3.0
SETTLE_SECONDS = 0.5
TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the writer saw of one way to do something."""

    way: str
    seconds: float
    inserts: int
    longest_ms: float


def main() -> int:
    """Run it, print the table, write the JSON."""
    asked = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "").parse_args()
    with database() as url, psycopg.connect(url, autocommit=True) as connection:
        seen = [*dropping(connection), *moving(connection)]
    print(reporting.machine())
    rows = [(one.way, f"{one.seconds:.2f}", one.inserts, f"{one.longest_ms:.1f}") for one in seen]
    print(reporting.table([("way", "took s", "inserts meanwhile", "longest insert ms"), *rows]))
    reporting.write(
        {"rows": ROWS, "longest_insert_ms": {one.way: round(one.longest_ms, 2) for one in seen}}, asked.json
    )
    return 0


def dropping(connection: psycopg.Connection) -> Iterator[Seen]:
    """Drop a day of heartbeats in each way, first while nobody, then while somebody reads the history."""
    from heartbeat.history import retention
    from heartbeat.history.partitions import DEFAULT, LOG

    def ours(name: str) -> None:
        retention.detach(connection, LOG, name)
        retention.drop_detached(connection, LOG)

    def in_sql(*statements: str) -> Callable[[str], None]:
        def run(name: str) -> None:
            for statement in statements:
                connection.execute(statement.format(log=LOG, name=name))

        return run

    ways = {
        "ours": ours,
        "DETACH without a timeout": in_sql("ALTER TABLE {log} DETACH PARTITION {name}", "DROP TABLE {name}"),
        "DROP TABLE": in_sql("DROP TABLE {name}"),
        "DELETE": in_sql("DELETE FROM {name}"),
    }
    concurrently = in_sql("ALTER TABLE {log} DETACH PARTITION {name} CONCURRENTLY", "DROP TABLE {name}")
    for reading in (False, True):
        for way, action in ways.items():
            yield _dropped(connection, way, action, reading=reading)
        connection.execute(f"DROP TABLE {DEFAULT}")
        yield _dropped(connection, "DETACH CONCURRENTLY, no default partition", concurrently, reading=reading)
        connection.execute(f"CREATE TABLE {DEFAULT} PARTITION OF {LOG} DEFAULT")
        connection.execute("SELECT heartbeat_identify(%s)", (DEFAULT,))


def _dropped(connection: psycopg.Connection, way: str, action: Callable[[str], None], *, reading: bool) -> Seen:
    from heartbeat.history.partitions import day_name

    day = TODAY - 30 * DAY
    connection.execute("SELECT heartbeat_make_partition(%s::date)", (day,))
    fill(connection, day_name(day), day)
    name = f"drop a day, {'somebody reads' if reading else 'nobody reads'}: {way}"
    seen = watched(connection, name, lambda: action(day_name(day)), reading=reading)
    connection.execute(f"DROP TABLE IF EXISTS {day_name(day)}")
    return seen


def moving(connection: psycopg.Connection) -> Iterator[Seen]:
    """Move a day of heartbeats out of the default partition, ours and in one transaction under a lock."""
    from heartbeat.history import default_partition
    from heartbeat.history.partitions import DEFAULT, LOG, day_name

    day = TODAY - 30 * DAY

    def in_one_transaction() -> None:
        with connection.transaction():
            connection.execute(f"LOCK TABLE {LOG} IN ACCESS EXCLUSIVE MODE")
            connection.execute(f"CREATE TEMPORARY TABLE moved ON COMMIT DROP AS SELECT * FROM {DEFAULT}")
            connection.execute(f"DELETE FROM {DEFAULT}")
            connection.execute("SELECT heartbeat_make_partition(%s::date)", (day,))
            connection.execute(f"INSERT INTO {LOG} SELECT * FROM moved")

    ways = {"ours": lambda: default_partition.empty(connection), "in one transaction": in_one_transaction}
    for way, action in ways.items():
        fill(connection, DEFAULT, day)
        yield watched(connection, f"empty the default partition: {way}", action)
        connection.execute(f"DROP TABLE {day_name(day)}")


def fill(connection: psycopg.Connection, table: str, day: date) -> None:
    """Put `ROWS` heartbeats of a day into `table`, evenly over the day."""
    connection.execute(
        f"INSERT INTO {table} (spelling_id, received_at, call, role, side, address, status)"
        " SELECT 1, t, 'heartbeat', 'owner', 'new', '', 'idle' FROM ("
        "  SELECT %s::timestamptz + n * interval '1 day' / %s AS t FROM generate_series(0, %s - 1) n) made",
        (datetime(day.year, day.month, day.day, tzinfo=UTC), ROWS, ROWS),
    )


def watched(connection: psycopg.Connection, way: str, action: Callable[[], object], *, reading: bool = False) -> Seen:
    """Do `action` while a writer commits rows as fast as it can, and tell what the writer saw from begin to end."""
    stopped, waits = threading.Event(), list[float]()
    dsn = connection.info.dsn

    def write() -> None:
        with psycopg.connect(dsn, autocommit=True) as writer:
            while not stopped.is_set():
                began = time.monotonic()
                writer.execute(
                    "INSERT INTO heartbeat_heartbeat (spelling_id, received_at, call, role, side, address)"
                    " VALUES (1, clock_timestamp(), 'heartbeat', 'owner', 'new', '')"
                )
                waits.append(time.monotonic() - began)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with reader(dsn) if reading else nullcontext():
            time.sleep(SETTLE_SECONDS)
            before, began = len(waits), time.monotonic()
            action()
            seconds = time.monotonic() - began
            time.sleep(SETTLE_SECONDS)  # the insert that waited ends after what it waited for
    finally:
        stopped.set()
        writer.join()
    during = waits[before:]
    return Seen(way, seconds, len(during), max(during, default=0.0) * 1000)


@contextmanager
def reader(dsn: str) -> Iterator[None]:
    """Somebody whose transaction has read the history and ends after `READ_SECONDS`."""
    reads = threading.Event()

    def read() -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute("SELECT count(*) FROM heartbeat_heartbeat")
            reads.set()
            time.sleep(READ_SECONDS)

    thread = threading.Thread(target=read)
    thread.start()
    reads.wait()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def database() -> Iterator[str]:
    """A migrated database on a PostgreSQL of its own, with today's partition; Django is set up for it."""
    place = Path(tempfile.mkdtemp(prefix="lekiwi-retention-"))
    place.chmod(0o711)  # PostgreSQL of a root user passes through it as another account
    runtime = runtime_directory(place)
    server = Postgres(place / "postgres", runtime)
    server.start()
    try:
        os.environ |= {"DATABASE_URL": server.url, "SECRET_KEY": "benchmark", "LOG_LEVEL": "ERROR"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", "heartbeat", verbosity=0, skip_checks=True)
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO heartbeat_spelling (id, key, robot_key, robot_id, first_at)"
                " VALUES (1, 'XLE_1', 'xle_1', 'XLE_1', now())"
            )
            connection.execute("SELECT heartbeat_make_partition(%s::date)", (TODAY,))
        yield server.url
    finally:
        server.stop()
        for directory in (place, runtime):
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
