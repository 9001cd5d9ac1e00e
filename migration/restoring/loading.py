"""Setting the damaged tables aside and loading what a scratch server holds, in one transaction.

They are copied into a schema of their own and emptied, not renamed: indexes, partitions, views and what the ingest has
prepared stay as they are. Heartbeats that come meanwhile are refused, and legacy has them all by then.
"""

import psycopg
from django.db import connection, transaction
from psycopg import sql

from migration.restoring.tables import ALL, LOG, REGISTERS, STATE

#: a row that was stamped before the moment may have been committed after it
OVERLAP_SECONDS = 10

_COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position
"""


def set_aside(schema: str, tables: tuple[str, ...]) -> dict[str, int]:
    """Copy tables as they are now into `schema`, which is made anew; rows by table."""
    counted = {}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        for table in tables:
            there = sql.Identifier(schema, table)
            cursor.execute(sql.SQL("CREATE TABLE {} AS TABLE {}").format(there, sql.Identifier("public", table)))
            counted[table] = cursor.rowcount
    return counted


def load(scratch: psycopg.Connection, schema: str, until: object) -> dict[str, dict[str, int]]:
    """Replace registers, log and robots by the scratch server's, and keep what was acknowledged since.

    Sets aside and loads under one lock, so no acknowledged row falls between. Rows by table: `aside`, `restored`,
    and `since`: those that came after the moment and are kept.
    """
    counted: dict[str, dict[str, int]] = {}
    with transaction.atomic(), connection.cursor() as cursor:
        names = sql.SQL(", ").join(sql.Identifier("public", table) for table in ALL)
        cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
        for table, rows in set_aside(schema, ALL).items():
            counted[table] = {"aside": rows, "restored": 0, "since": 0}
        cursor.execute(sql.SQL("TRUNCATE {}").format(names))
        for table in ALL:
            cursor.execute(_COLUMNS, [table])
            columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in cursor.fetchall())
            counted[table]["restored"] = _copy(scratch, cursor, table, columns)
            if table not in STATE:
                counted[table]["since"] = _keep_later(cursor, schema, table, columns, until)
        for table in REGISTERS:
            number = sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), max(id)) FROM {} HAVING max(id) > 0")
            cursor.execute(number.format(sql.Literal(table), sql.Identifier("public", table)))
    return counted


def _copy(scratch: psycopg.Connection, cursor: psycopg.Cursor, table: str, columns: sql.Composable) -> int:
    name = sql.Identifier("public", table)
    out = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(columns, name)
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(name, columns)
    with scratch.cursor() as reader:
        with reader.copy(out) as source, cursor.copy(into) as target:
            for block in source:
                target.write(block)
        return reader.rowcount


def _keep_later(cursor: psycopg.Cursor, schema: str, table: str, columns: sql.Composable, until: object) -> int:
    """What was stored after the moment: rows of the log by their time, and every register's entry that it may name."""
    statement = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} {} ON CONFLICT DO NOTHING")
    since = sql.SQL("")
    if table == LOG:
        moment = sql.SQL("WHERE received_at > {}::timestamptz - {} * interval '1 second'")
        since = moment.format(sql.Literal(until), sql.Literal(OVERLAP_SECONDS))
    aside, name = sql.Identifier(schema, table), sql.Identifier("public", table)
    cursor.execute(statement.format(name, columns, columns, aside, since))
    return int(cursor.rowcount)
