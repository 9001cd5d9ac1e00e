"""Bringing single tables back from a backup, beside those that are there."""

from collections.abc import Collection, Sequence
from typing import Any

import psycopg
import structlog
from psycopg import sql

from migration.backups import archive, digests, verifying
from migration.backups.locking import only_one, scratch_database
from migration.backups.programs import BackupError, connected, conninfo, run
from migration.models import Backup

log = structlog.get_logger(__name__)

#: a table's partitions and whatever it was made of, the table itself first
_WITH_PARTITIONS = """
SELECT DISTINCT t.relid::regclass::text FROM unnest(%s::text[]) AS named(name)
CROSS JOIN LATERAL pg_partition_tree(to_regclass(quote_ident(named.name))) AS t
"""
_FOREIGN_KEYS = """
SELECT conname, conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY (%s::text[]::regclass[])
"""


def restore_tables(backup: Backup, tables: Collection[str], schema: str) -> dict[str, int]:
    """Restore `tables` (with partitions, indexes, keys and sequences) into the new schema `schema` of our database.

    Returns the rows of each restored table; they were counted and compared with the snapshot of the backup. Foreign
    keys to tables that are not restored are left away. Raises BackupError; `BackupIsRunning` while another backup is
    made (`give_way` ends it).
    """
    archive.require_whole(backup)
    with only_one() as connection:
        if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone():
            raise BackupError(f"there is a schema {schema} already")
        with scratch_database(connection, backup.pk) as name:
            verifying.restore_into(name, backup)
            with connected(name) as scratch:
                restored = _set_apart(scratch, list(tables), schema)
            _copy(name, backup, schema)
        found = digests.of_tables(connection, schema=schema)
    wanted = {name: saved for name, saved in backup.contents["tables"].items() if name in restored}
    if told := digests.differences(wanted, found):
        raise BackupError(f"restored into {schema}, but not the same: {'; '.join(told[:5])}")
    log.info("backup.tables_restored", backup=backup.pk, schema=schema, tables=sorted(restored))
    return {name: int(found[name]["rows"]) for name in found}


def _set_apart(scratch: psycopg.Connection[Any], tables: Sequence[str], schema: str) -> set[str]:
    """Move the tables of the scratch database into a schema of their own; returns their names, partitions included."""
    unknown = [
        name
        for name in tables
        if not scratch.execute("SELECT to_regclass(quote_ident(%s))", [name]).fetchone()[0]  # type: ignore[index]
    ]
    if unknown:
        raise BackupError(f"the backup has no table {', '.join(unknown)}")
    chosen = set(tables) | {name for (name,) in scratch.execute(_WITH_PARTITIONS, [list(tables)]).fetchall() if name}
    for key, table, target in scratch.execute(_FOREIGN_KEYS, [sorted(chosen)]).fetchall():
        if target not in chosen:
            drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
            scratch.execute(drop.format(sql.Identifier(table), sql.Identifier(key)))
    scratch.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    for name in sorted(chosen):
        move = sql.SQL("ALTER TABLE {} SET SCHEMA {}")
        scratch.execute(move.format(sql.Identifier(name), sql.Identifier(schema)))
    return chosen


def _copy(scratch: str, backup: Backup, schema: str) -> None:
    """From the scratch database into ours: a dump cannot be restored under another schema's name."""
    part = backup.file.with_suffix(f".{schema}")
    try:
        options = ["--format=custom", "--no-owner", "--no-privileges", f"--schema={schema}"]
        run("pg_dump", [*options, f"--file={part}", f"--dbname={conninfo(scratch)}"])
        options = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]
        run("pg_restore", [*options, f"--dbname={conninfo()}", str(part)])
    finally:
        part.unlink(missing_ok=True)
