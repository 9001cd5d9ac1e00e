"""A log of heartbeats that tests fill by SQL, in a database that keeps what is committed."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

import psycopg
import pytest

from heartbeat.history.partitions import LOG, MINUTES, attached, tables_like

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TODAY = NOW.date()

EMPTIED = ", ".join(
    f"heartbeat_{name}" for name in ("heartbeat", "rolled_up_day", "spelling", "boot", "robot", "legacyrow", "relay")
)


@pytest.fixture(scope="session")
def history_database(database_url: str) -> str:
    """A copy of the migrated database: what these tests do to partitions is nobody else's business."""
    migrated = urlsplit(database_url)
    name = f"{migrated.path[1:]}_history"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated.path[1:]}"')
    return migrated._replace(path=f"/{name}").geturl()


@pytest.fixture
def history(history_database: str) -> Iterator[psycopg.Connection]:
    """A connection to a log with two robots and nothing heard, and no partition but the default one."""
    with psycopg.connect(history_database, autocommit=True) as connection:
        for parent in (LOG, MINUTES):
            for name in {*attached(connection, parent), *tables_like(connection, f"{parent}_")}:
                if not name.endswith("_default"):
                    connection.execute(f"DROP TABLE {name}")
        connection.execute(f"TRUNCATE {EMPTIED}")
        connection.execute(
            "INSERT INTO heartbeat_spelling (id, key, robot_key, robot_id, first_at) SELECT *, now() FROM (VALUES"
            " (1, 'XLE_1'::bytea, 'xle_1'::bytea, 'XLE_1'), (2, 'xle_1', 'xle_1', 'xle_1'),"
            " (3, 'XLE_2', 'xle_2', 'XLE_2')) AS given"
        )
        yield connection


def partition(connection: psycopg.Connection, *days: date) -> None:
    """Make the partitions of these days."""
    for day in days:
        connection.execute("SELECT heartbeat_make_partition(%s::date)", (day,))


def heard(
    connection: psycopg.Connection,
    start: datetime,
    count: int,
    *,
    every: timedelta,
    spelling: int = 1,
    role: str = "owner",
) -> None:
    """Store `count` heartbeats of one robot, the first received at `start`; battery 50, 51, … 59, 50, …"""
    connection.execute(
        "INSERT INTO heartbeat_heartbeat (spelling_id, received_at, call, role, side, address, status, battery_percent)"
        " SELECT %s, t, 'heartbeat', %s, 'new', '', 'idle', 50 + n %% 10 FROM ("
        "  SELECT n, %s::timestamptz + n * %s::interval AS t FROM generate_series(0, %s - 1) n) made",
        (spelling, role, start, every, count),
    )


def number(connection: psycopg.Connection, what: str, *given: object) -> int:
    """The one number that a query answers."""
    row = connection.execute(what, given).fetchone()
    assert row is not None
    return int(row[0])


def rows(connection: psycopg.Connection, table: str = LOG) -> int:
    """How many rows a table holds."""
    return number(connection, f"SELECT count(*) FROM {table}")
