"""How long operation is remembered: signals and measurements go by the day, sessions a few at a time."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import structlog
from django.conf import settings
from psycopg import sql

from heartbeat.errors import HistoryBusy
from heartbeat.history.partitions import DAYS_AHEAD, attached, briefly, holds_rows
from heartbeat.history.retention import detach, drop_detached
from heartbeat.rules.history import Span, day_span, expired

log = structlog.get_logger(__name__)

#: partitioned tables, and the column that says which day a row is of
SIGNALS, SAMPLES = ("teleop_signal", "received_at"), ("teleop_qualitysample", "at")
#: rows of one statement: it commits alone, so nobody waits for its locks
BATCH = 1_000
_OLD_SESSIONS = """
WITH old AS (
    SELECT id FROM teleop_session WHERE began_at < %(limit)s AND ended_at < %(limit)s ORDER BY began_at LIMIT %(most)s
), steps AS (DELETE FROM teleop_sessionevent WHERE session_id IN (SELECT id FROM old)),
parts AS (DELETE FROM teleop_participation WHERE session_id IN (SELECT id FROM old))
DELETE FROM teleop_session WHERE id IN (SELECT id FROM old)
"""
#: steps of robots without a session
_OLD_STEPS = """
DELETE FROM teleop_sessionevent WHERE id IN (
    SELECT id FROM teleop_sessionevent WHERE known_at < %(limit)s AND session_id IS NULL
    ORDER BY known_at LIMIT %(most)s)
"""
_OLD_STRAYS = "DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} WHERE {moment} < %(limit)s LIMIT %(most)s)"


@dataclass(slots=True)
class Kept:
    """What a run did; `stayed` are sentences on what it could not do, to be done by a later one."""

    days_made: int = 0
    days_dropped: list[str] = field(default_factory=list)
    sessions_dropped: int = 0
    stayed: list[str] = field(default_factory=list)


def keep(connection: psycopg.Connection[Any], now: datetime) -> Kept:
    """Make the days to come and drop what has served its time. `connection` commits each statement."""
    kept = Kept()
    days = {SIGNALS: settings.TELEOP_SIGNAL_DAYS, SAMPLES: settings.TELEOP_QUALITY_DAYS}
    for (table, moment), keep_days in days.items():
        try:
            kept.days_made += _make_ahead(connection, table, moment, now.date())
            kept.days_dropped += _drop_days(connection, table, now.date(), keep_days)
        except (HistoryBusy, psycopg.errors.CheckViolation) as error:
            # the latter: a row came for a day that was just being made; it is taken along by the next run
            kept.stayed.append(f"{table}: {error}")
        strays = sql.SQL(_OLD_STRAYS).format(table=sql.Identifier(f"{table}_default"), moment=sql.Identifier(moment))
        _by_batches(connection, strays, now - timedelta(days=keep_days + 1))
    limit = now - timedelta(days=settings.TELEOP_SESSION_DAYS)
    kept.sessions_dropped = _by_batches(connection, sql.SQL(_OLD_SESSIONS), limit)
    _by_batches(connection, sql.SQL(_OLD_STEPS), limit)
    log.info(
        "operation.kept",
        made=kept.days_made,
        dropped=kept.days_dropped,
        sessions=kept.sessions_dropped,
        stayed=kept.stayed,
    )
    return kept


def _make_ahead(connection: psycopg.Connection[Any], table: str, moment: str, today: date) -> int:
    there = set(attached(connection, table))
    coming = [today + timedelta(days=number) for number in range(DAYS_AHEAD + 1)]
    missing = [day for day in coming if f"{table}_{day:%Y%m%d}" not in there]
    statement = "SELECT teleop_make_partition(%s, %s, %s::date)"
    for day in missing:
        briefly(connection, lambda day=day: connection.execute(statement, (table, moment, day)))
    return len(missing)


def _drop_days(connection: psycopg.Connection[Any], table: str, today: date, keep_days: int) -> list[str]:
    gone = [f"{table}_{span.start:%Y%m%d}" for span in expired(_days(connection, table), today, keep_days)]
    for name in gone:
        detach(connection, table, name)
    drop_detached(connection, table)
    return gone


def _days(connection: psycopg.Connection[Any], table: str) -> list[Span]:
    names = [name for name in attached(connection, table) if name != f"{table}_default"]
    return [
        day_span(date.fromisoformat(name.removeprefix(f"{table}_")), heard=holds_rows(connection, name))
        for name in names
    ]


def _by_batches(connection: psycopg.Connection[Any], statement: sql.Composable, limit: datetime) -> int:
    """Run `statement` until it finds nothing more."""
    total = 0
    while deleted := connection.execute(statement, {"limit": limit, "most": BATCH}).rowcount:
        total += deleted
    return total
