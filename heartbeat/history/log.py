"""Rows of the log on their way from one of its tables into another. Only here its columns are known."""

from datetime import datetime

import psycopg
from psycopg import sql

from heartbeat.history.partitions import LOG

#: a table that was filled just now has no statistics, and is not to be read as a whole for each piece of it
BY_INDEX = "SET LOCAL enable_seqscan TO off"


def copy(connection: psycopg.Connection, source: str, target: str, start: datetime, end: datetime) -> int:
    """Copy the rows of `source` received from `start` (inclusive) to `end` (exclusive); returns how many."""
    statement = sql.SQL(
        "INSERT INTO {target} ({columns}) SELECT {columns} FROM {source} WHERE received_at >= %s AND received_at < %s"
    ).format(target=sql.Identifier(target), source=sql.Identifier(source), columns=_columns(connection))
    with connection.transaction():
        connection.execute(BY_INDEX)
        return connection.execute(statement, (start, end)).rowcount


def carry_over(connection: psycopg.Connection, source: str, start: datetime, end: datetime) -> None:
    """Bring into the log what `source`, once a part of it, holds of a stretch of time and the log does not.

    That is a row that the copy missed, and a role that was raised from shadow after it was copied. Safe to repeat.
    """
    names = {"log": sql.Identifier(LOG), "source": sql.Identifier(source), "columns": _columns(connection)}
    missed = """
        INSERT INTO {log} ({columns}) SELECT {columns} FROM {source} s
        WHERE s.received_at >= %(start)s AND s.received_at < %(end)s AND NOT EXISTS (
            SELECT FROM {log} h WHERE h.spelling_id = s.spelling_id AND h.received_at = s.received_at
                AND h.received_at >= %(start)s AND h.received_at < %(end)s
        ) ON CONFLICT DO NOTHING"""
    raised = """
        UPDATE {log} h SET role = s.role FROM {source} s
        WHERE h.spelling_id = s.spelling_id AND h.received_at = s.received_at
            AND h.role = 'shadow' AND s.role <> 'shadow'
            AND s.received_at >= %(start)s AND s.received_at < %(end)s
            AND h.received_at >= %(start)s AND h.received_at < %(end)s"""
    with connection.transaction():
        connection.execute(BY_INDEX)
        for statement in (missed, raised):
            connection.execute(sql.SQL(statement).format(**names), {"start": start, "end": end})


def _columns(connection: psycopg.Connection) -> sql.Composed:
    """The columns that are stored as given, in the log's order."""
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attgenerated = '' ORDER BY attnum",
        (LOG,),
    )
    return sql.SQL(", ").join(sql.Identifier(name) for (name,) in rows)
