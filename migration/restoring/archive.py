"""Base backups of the database server, verified by starting them, and the WAL since: a restore to any moment.

The disk alone knows what there is: a restore must not depend on the tables that it restores.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import structlog
from django.conf import settings
from django.db import connection

from embedded.postgres import Postgres
from migration.backups import programs
from migration.backups.programs import BackupError
from migration.clock import system_clock
from migration.errors import Refused

log = structlog.get_logger(__name__)

KEPT_BASES = 2
ARCHIVE_PATIENCE_SECONDS = 30.0
_TOLD = "verified.json"


class NoArchive(Refused):
    """This installation keeps no WAL, so nothing can be restored to a moment."""

    def __init__(self) -> None:
        super().__init__("no WAL is archived here (WAL_ARCHIVE_DIR is not set): restore from the log")


class NoBase(Refused):
    """No verified base backup is old enough."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"no verified base backup was finished before {until:%d %b %H:%M:%S} UTC")


@dataclass(frozen=True, slots=True)
class Base:
    """A base backup that was started and read before it was called verified."""

    directory: str
    finished_at: str
    seconds: float
    #: rows of each fleet table when it was started
    rows: dict[str, int]

    @property
    def at(self) -> datetime:
        """When it was complete: it can be replayed to any moment from here on."""
        return datetime.fromisoformat(self.finished_at)


def keep_base_backup() -> Base | None:
    """What the schedule calls: make and verify a base backup if the latest is old enough. None where none is due."""
    if not settings.WAL_ARCHIVE_DIR:
        return None
    latest = next(iter(bases()), None)
    due = timedelta(seconds=settings.BASE_BACKUP_SECONDS)
    if latest and system_clock().now() - latest.at < due:
        return None
    return make_base()


def make_base() -> Base:
    """Copy the running server, check every file by the copy's manifest, start it, and count the fleet's rows in it."""
    if not settings.WAL_ARCHIVE_DIR:
        raise NoArchive
    began, home = time.monotonic(), Path(settings.BASE_BACKUP_DIR)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = home / f"{system_clock().now():%Y%m%dT%H%M%S%f}"
    _run("pg_basebackup", *_server(), "-D", str(place), "-X", "fetch", "-c", "fast")
    finished = datetime.now(UTC)
    _run("pg_verifybackup", str(place))
    with started(place, recovery_target="immediate") as scratch:
        rows = _rows(scratch)
    base = Base(place.name, finished.isoformat(), round(time.monotonic() - began, 3), rows)
    call_verified(base)
    log.info("base_backup.verified", directory=str(place), seconds=base.seconds, rows=sum(rows.values()))
    _forget_old(home)
    return base


def call_verified(base: Base) -> None:
    """Say on the disk that a base backup was tried. A crash in between leaves one that was not."""
    told = Path(settings.BASE_BACKUP_DIR) / f"{base.directory}.{_TOLD}"
    part = told.with_name(f"{told.name}.part")
    part.write_text(json.dumps(asdict(base)))
    part.replace(told)


def bases() -> list[Base]:
    """Verified base backups, newest first: one that nobody tried is none, whatever lies there."""
    home = Path(settings.BASE_BACKUP_DIR)
    found = [Base(**json.loads(path.read_text())) for path in home.glob(f"*.{_TOLD}")]
    there = [base for base in found if (home / base.directory).is_dir()]
    return sorted(there, key=lambda base: base.finished_at, reverse=True)


def base_for(until: datetime) -> Base:
    """The newest verified base backup that was complete before a moment. Raises `NoArchive`, `NoBase`."""
    if not settings.WAL_ARCHIVE_DIR:
        raise NoArchive
    for base in bases():
        if base.at < until:
            return base
    raise NoBase(until)


def ship_wal() -> str:
    """Have the running server archive everything written up to now; the name of the last segment.

    Raises `Refused` if the archive does not take it in time.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_walfile_name(pg_switch_wal())")
        segment = str(cursor.fetchone()[0])
        deadline = time.monotonic() + ARCHIVE_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if (Path(settings.WAL_ARCHIVE_DIR) / segment).exists():
                return segment
            time.sleep(0.05)
        cursor.execute("SELECT last_failed_wal FROM pg_stat_archiver")
        failed = cursor.fetchone()[0]
    raise Refused(f"WAL {segment} was not archived within {ARCHIVE_PATIENCE_SECONDS:.0f} s (last failure: {failed})")


@contextmanager
def replayed(base: Base, until: datetime) -> Iterator[psycopg.Connection]:
    """A scratch server that holds what was committed up to a moment, as a connection."""
    place = Path(settings.BASE_BACKUP_DIR) / base.directory
    with started(
        place, recovery_target_time=until.astimezone(UTC).isoformat(), recovery_target_inclusive="off"
    ) as copy:
        yield copy


@contextmanager
def started(place: Path, **recovery: str) -> Iterator[psycopg.Connection]:
    """Start a copy of a base backup that replays the archive as far as told, and connect to the fleet's database."""
    # In /var/tmp: as root PostgreSQL runs as another account, which cannot reach everything.
    home = Path("/var/tmp") / f"lekiwi-scratch-{os.getpid()}-{time.monotonic_ns()}"
    home.mkdir(mode=0o711)
    archive = Path(settings.WAL_ARCHIVE_DIR)
    recover = {"restore_command": f'cp "{archive}/%f" %p', "recovery_target_action": "promote", **recovery}
    memory = {"shared_buffers": "32MB", "max_connections": "200", "fsync": "off", "archive_mode": "off"}
    server = Postgres(home / "data", home / "run", {**memory, **recover}, bin_directory=_bin_directory())
    try:
        shutil.copytree(place, home / "data", symlinks=True)
        (home / "data" / "recovery.signal").touch()
        if server.uid is not None:
            for path in (home / "data", *(home / "data").rglob("*")):
                os.chown(path, server.uid, server.uid, follow_symlinks=False)
        (home / "run").mkdir(mode=0o711)
        server.start()
        name = str(connection.get_connection_params()["dbname"])
        with psycopg.connect(host=str(server.sockets), user="lekiwi", dbname=name, autocommit=True) as scratch:
            _wait_until_promoted(scratch)
            yield scratch
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_promoted(scratch: psycopg.Connection) -> None:
    deadline = time.monotonic() + 600
    while scratch.execute("SELECT pg_is_in_recovery()").fetchone() != (False,):
        if time.monotonic() > deadline:
            raise Refused("the archive was not replayed within 10 min")
        time.sleep(0.05)


def _rows(scratch: psycopg.Connection) -> dict[str, int]:
    from migration.restoring.tables import ALL

    counted = {}
    for table in ALL:
        found = scratch.execute(psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(table)))
        counted[table] = int((found.fetchone() or (0,))[0])
    return counted


def _server() -> list[str]:
    given = connection.get_connection_params()
    told = {"-h": given.get("host"), "-p": given.get("port"), "-U": given.get("user")}
    return [part for option, value in told.items() if value for part in (option, str(value))]


def _bin_directory() -> Path | None:
    return Path(settings.PG_BIN_DIRECTORY) if settings.PG_BIN_DIRECTORY else None


def _run(program: str, *arguments: str) -> None:
    try:
        programs.run(program, arguments)
    except BackupError as error:
        raise Refused(str(error)) from error


def _forget_old(home: Path) -> None:
    """Keep the newest bases, and no WAL from before the oldest of them. A copy that was never verified goes."""
    kept = bases()[:KEPT_BASES]
    names = {base.directory for base in kept}
    for path in home.iterdir():
        if path.name.partition(".")[0] not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if kept:
        first = _first_wal(home / kept[-1].directory)
        for path in Path(settings.WAL_ARCHIVE_DIR).iterdir():
            if len(path.name) == 24 and path.name < first:
                path.unlink()


def _first_wal(place: Path) -> str:
    for line in (place / "backup_label").read_text().splitlines():
        if line.startswith("START WAL LOCATION"):
            return line.partition("(file ")[2].rstrip(")")
    raise Refused(f"{place} has no backup label")
