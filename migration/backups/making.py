"""Making a backup: one snapshot is dumped and counted, so heartbeats that come meanwhile change neither."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from heartbeat.history.partitions import LOG, days
from migration.actors import Actor
from migration.backups import digests, files, verifying
from migration.backups.locking import only_one
from migration.backups.programs import BackupError, conninfo, run
from migration.backups.recording import keep_record
from migration.clock import system_clock
from migration.models import Backup, PhaseRun

_LOCK_WAIT_MILLISECONDS = 10_000


def back_up(reason: str, *, actor: Actor) -> Backup:
    """Dump the database, restore the dump beside it, compare, and only then call it verified.

    Returns the backup, verified or failed with the reason in it; raises `BackupIsRunning` while another is made.
    """
    with only_one() as connection:
        backup = begin(Backup.Kind.DATABASE, reason, actor, ".dump")
        try:
            _dump(connection, backup)
            finish(backup)
            verifying.restore_and_compare(connection, backup)
        except (BackupError, OSError, psycopg.Error) as error:
            backup.fail(str(error).strip() or repr(error))
            backup.save()
    keep_record(backup, actor)
    return backup


def begin(kind: str, reason: str, actor: Actor, suffix: str) -> Backup:
    """The row and the path of a backup that is about to be made. The lock of backups must be held."""
    now = system_clock().now()
    directory = Path(settings.BACKUP_DIRECTORY)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    run_now = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE).first()
    backup = Backup.objects.create(
        kind=kind, reason=reason, asked_by=actor.name, run=run_now.pk if run_now else None, begun_at=now
    )
    backup.path = str(directory.resolve() / f"{kind}-{now:%Y%m%dT%H%M%S}-{backup.pk}{suffix}")
    backup.save()
    return backup


def finish(backup: Backup) -> None:
    """The unfinished file becomes the backup: on disk, with its checksum and, beside it, what it holds."""
    files.put_in_place(backup.file)
    size, checksum = backup.file.stat().st_size, files.checksum_of(backup.file)
    backup.made(system_clock().now(), size_bytes=size, sha256=checksum)
    backup.save()
    told = {"sha256": checksum, "begun_at": backup.begun_at.isoformat(), "left_out": backup.left_out}
    files.contents_beside(backup.file).write_text(json.dumps({**told, "contents": backup.contents}, indent=1))


def _dump(connection: psycopg.Connection[Any], backup: Backup) -> None:
    _require_room(connection, backup.file.parent)
    backup.left_out = old_days(connection, backup.begun_at)
    sequences = digests.of_sequences(connection)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        arguments = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={row[0]}"]
        arguments += [f"--lock-wait-timeout={_LOCK_WAIT_MILLISECONDS}"]
        arguments += [f"--exclude-table-data=public.{name}" for name in backup.left_out]
        run("pg_dump", [*arguments, f"--file={files.unfinished(backup.file)}", f"--dbname={conninfo()}"])
        tables = digests.of_tables(connection, leaving_out=backup.left_out)
    backup.contents = {"tables": tables, "sequences": sequences}
    backup.save()


def old_days(connection: psycopg.Connection[Any], now: datetime) -> list[str]:
    """Partitions of raw heartbeats that the setting `BACKUP_RAW_DAYS` leaves out; none where it is 0."""
    if not settings.BACKUP_RAW_DAYS:
        return []
    first_kept = (now - timedelta(days=settings.BACKUP_RAW_DAYS)).date()
    return [f"{LOG}_{day:%Y%m%d}" for day in (span.start for span in days(connection)) if day < first_kept]


def _require_room(connection: psycopg.Connection[Any], directory: Path) -> None:
    """A disk that fills up halfway stops more than the backup. The size of the last dump, or of the database."""
    last = Backup.objects.filter(kind=Backup.Kind.DATABASE, size_bytes__isnull=False).first()
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    size = row[0] if row else 0
    needed = 2 * last.size_bytes if last and last.size_bytes else size
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise BackupError(f"{directory} has {free / 1e9:.1f} GB free, a dump may need {needed / 1e9:.1f} GB")
