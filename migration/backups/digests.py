"""What a database holds, in numbers that can be compared: rows and a digest of each table, values of sequences."""

from collections.abc import Collection, Mapping
from typing import Any

import psycopg
from psycopg import sql

#: partitions are tables of their own; what holds them has no rows
_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = %s ORDER BY c.relname
"""
_SEQUENCES = "SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = 'public'"
#: a sum, so that the order of rows does not matter and a row that is there twice does
_DIGEST = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 20260101)::numeric), 0)::text FROM {}.{} AS t"

Contents = Mapping[str, Mapping[str, Any]]


def of_tables(
    connection: psycopg.Connection[Any], *, schema: str = "public", leaving_out: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """{table: {"rows", "digest"}} of every table in a schema, as this connection's snapshot sees it."""
    found = {}
    for (name,) in connection.execute(_TABLES, [schema]).fetchall():
        if name not in leaving_out:
            statement = sql.SQL(_DIGEST).format(sql.Identifier(schema), sql.Identifier(name))
            row = connection.execute(statement).fetchone()
            assert row is not None  # an aggregate always answers
            found[name] = {"rows": row[0], "digest": row[1]}
    return found


def of_sequences(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """{sequence: last value}; sequences know no snapshot, so this is a lower bound of what a later dump has."""
    return dict(connection.execute(_SEQUENCES).fetchall())


def differences(saved: Contents, restored: Contents) -> list[str]:
    """What is not the same in both, a sentence for each table."""
    told = []
    for name, wanted in saved.items():
        found = restored.get(name)
        if found is None:
            told.append(f"{name} is missing")
        elif found["rows"] != wanted["rows"]:
            told.append(f"{name} has {found['rows']:,} rows instead of {wanted['rows']:,}")
        elif found["digest"] != wanted["digest"]:
            told.append(f"{name} has other rows, as many as before ({wanted['rows']:,})")
    return told
