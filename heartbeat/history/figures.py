"""The history in figures, read from the database when Prometheus asks: whichever process answers tells one truth."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import psycopg
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from heartbeat.history import partitions
from heartbeat.history.partitions import DEFAULT, midnight, run

#: more rows than this need not be counted to know that somebody must look
MOST_COUNTED = 100_000


def collect(connection: psycopg.Connection, now: datetime) -> Iterator[Metric]:
    """What is kept, how far the rollups are, and whether a partition is missing."""
    days, months = partitions.days(connection), partitions.months(connection)
    heard = [span.start for span in days if span.heard]
    past = [day for day in heard if day <= now.date()]
    ahead = sum(span.start > now.date() for span in days)
    found = {
        "days": ("Days of which heartbeats are kept", len(past)),
        "days_ahead": ("Days to come that have a partition; 0 means that midnight finds none", ahead),
        "future_days": ("Days to come that hold heartbeats: the server's clock was ahead", len(heard) - len(past)),
        "default_rows": (f"Heartbeats without a partition, counted up to {MOST_COUNTED:,}", _in_default(connection)),
        "months": ("Months of which rollups are kept", sum(span.heard for span in months)),
    }
    if past:
        found["oldest_day_timestamp_seconds"] = ("When the oldest day began", midnight(past[0]).timestamp())
        found["rollup_lag_seconds"] = ("How far behind the rollups are", _lag(connection, past, now).total_seconds())
    for name, (what, value) in found.items():
        yield GaugeMetricFamily(f"lekiwi_heartbeat_history_{name}", what, value=value)


def _in_default(connection: psycopg.Connection) -> int:
    counted = f"SELECT count(*) FROM (SELECT FROM {{table}} LIMIT {MOST_COUNTED}) found"
    row = run(connection, counted, table=DEFAULT).fetchone()
    return int(row[0]) if row else 0


def _lag(connection: psycopg.Connection, days: list[date], now: datetime) -> timedelta:
    """The age of the earliest moment from which on something may not be in the rollups."""
    read = dict(connection.execute("SELECT day, upto FROM heartbeat_rolled_up_day").fetchall())
    upto = {day: read.get(day, midnight(day)) for day in days}
    return max((now - at for day, at in upto.items() if at < midnight(day + timedelta(days=1))), default=timedelta(0))
