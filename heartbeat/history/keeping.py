"""What keeping the history takes, in order: each minute `keep_up`, each hour `keep`. Safe at any time and twice."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime

import psycopg
import structlog
from django.conf import settings
from django.db import connection as django_connection

from heartbeat.errors import HistoryBusy
from heartbeat.history import default_partition, partitions, retention, rollup

log = structlog.get_logger(__name__)

#: one keeper at a time, whoever started it
_LOCK = 0x6C6B_6873


@dataclass(slots=True)
class Kept:
    """What a run did; `stayed` are sentences on what it could not do, to be done by a later one."""

    days_made: list[date] = field(default_factory=list)
    days_over: list[date] = field(default_factory=list)
    rows_moved: int = 0
    heartbeats_rolled_up: int = 0
    minutes_rolled_up: int = 0
    days_dropped: list[date] = field(default_factory=list)
    months_dropped: list[date] = field(default_factory=list)
    stayed: list[str] = field(default_factory=list)
    seconds: float = 0.0


def keep_up(connection: psycopg.Connection, now: datetime) -> Kept:
    """Partitions for today and the days ahead, an empty default partition, rollups of the minutes that are over.

    Days that are over are given to autovacuum.
    """
    began, kept = time.monotonic(), Kept()
    try:
        kept.rows_moved = default_partition.empty(connection)
        kept.days_made = partitions.make_ahead(connection, now.date())
        kept.days_over = partitions.let_be_vacuumed(connection, now.date())
    except (HistoryBusy, psycopg.errors.CheckViolation) as error:
        # The latter: a heartbeat took to the default partition after it was emptied. Rollups read that too.
        kept.stayed.append(f"partitions: {error}")
        log.warning("history.partitions_wait", reason=str(error))
    done = rollup.roll_up(connection, now, settings.HISTORY_ROLLUP_DAYS)
    kept.heartbeats_rolled_up, kept.minutes_rolled_up = done.heartbeats, done.minutes
    kept.seconds = time.monotonic() - began
    return kept


def keep(connection: psycopg.Connection, now: datetime) -> Kept:
    """All of `keep_up`, then drop the days and months that have served their time."""
    began, kept = time.monotonic(), keep_up(connection, now)
    kept.days_dropped, days_stayed = retention.drop_days(connection, now, settings.HISTORY_RAW_DAYS)
    kept.months_dropped, months_stayed = retention.drop_months(connection, now, settings.HISTORY_ROLLUP_DAYS)
    kept.stayed += days_stayed + months_stayed
    kept.seconds = time.monotonic() - began
    log.info(
        "history.kept",
        made=len(kept.days_made),
        over=len(kept.days_over),
        moved=kept.rows_moved,
        rolled_up=kept.heartbeats_rolled_up,
        dropped=len(kept.days_dropped) + len(kept.months_dropped),
        stayed=kept.stayed,
        seconds=round(kept.seconds, 3),
    )
    return kept


@contextmanager
def keeper() -> Iterator[psycopg.Connection]:
    """A connection of its own to Django's database, for one keeper at a time; HistoryBusy while there is another.

    Not Django's: what is set for these statements must not outlive them, and each must be able to commit alone.
    """
    given = django_connection.get_connection_params()
    wanted = {name: given.get(name) for name in ("host", "port", "user", "password", "dbname", "connect_timeout")}
    with psycopg.connect(
        **{name: value for name, value in wanted.items() if value}, autocommit=True, application_name="history"
    ) as connection:
        connection.execute("SET timezone TO 'UTC'")
        connection.execute("SET jit TO off")  # compiling takes longer than what it would make faster
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
        if not (row and row[0]):
            raise HistoryBusy("another keeper is at work")
        yield connection
