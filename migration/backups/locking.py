"""One backup at a time, and out of the way when something more urgent comes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from migration.backups import files
from migration.backups.programs import APPLICATION_NAME, connected, database_name
from migration.errors import Refused
from migration.models import Backup

#: any constant: whoever holds it makes or verifies a backup of this database
_LOCK = 0x6C656261
_LONGEST_NAME = 63


class BackupIsRunning(Refused):
    """Another one is at it; the same call later does what was asked."""


@contextmanager
def only_one() -> Iterator[psycopg.Connection[Any]]:
    """Hold the lock of backups. Raises `BackupIsRunning` while another holds it.

    It lives and dies with the connection, so what was left half done by somebody who is gone can be told by it: such
    rows become failed, scratch databases go.
    """
    with connected() as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
        if not (row and row[0]):
            raise BackupIsRunning("a backup is being made or verified now")
        for left in Backup.objects.filter(state=Backup.State.MAKING):
            left.fail("whoever made it disappeared before it was done")
            left.save()
            files.unfinished(left.file).unlink(missing_ok=True)
        _drop_scratch(connection)
        yield connection
        # The server notices a closed connection later: the next one may begin now.
        connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


@contextmanager
def scratch_database(connection: psycopg.Connection[Any], number: int) -> Iterator[str]:
    """An empty database beside ours for the time of the block; yields its name."""
    suffix = f"{_marker()}{number}"
    name = f"{database_name()[: _LONGEST_NAME - len(suffix)]}{suffix}"
    connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield name
    finally:
        _drop(connection, name)


def give_way() -> int:
    """End every session of a backup, so that its locks on the tables are gone. Returns how many there were.

    For a restore: it needs the tables to itself and cannot wait for a dump.
    """
    with connected() as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = %s AND datname = current_database() AND pid <> pg_backend_pid()",
            [APPLICATION_NAME],
        )
        return len(ended.fetchall())


def _marker() -> str:
    return "_scratch_"


def _drop_scratch(connection: psycopg.Connection[Any]) -> None:
    """Those of this very database: another installation may share the server."""
    prefix = f"{database_name()[: _LONGEST_NAME - 20]}{_marker()}"
    found = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
    for (name,) in found.fetchall():
        if name.removeprefix(prefix).isdecimal():
            _drop(connection, name)


def _drop(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
