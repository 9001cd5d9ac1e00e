"""Trying a backup: restored into a scratch database, every table counted and compared with the snapshot."""

from typing import Any

import psycopg

from migration.actors import Actor
from migration.backups import archive, digests
from migration.backups.locking import only_one, scratch_database
from migration.backups.programs import BackupError, connected, conninfo, run
from migration.backups.recording import keep_record
from migration.clock import system_clock
from migration.models import Backup


def restore_and_compare(connection: psycopg.Connection[Any], backup: Backup) -> None:
    """Prove a dump and mark it verified. Raises BackupError with what is not as it was."""
    archive.require_whole(backup)
    with scratch_database(connection, backup.pk) as name:
        restore_into(name, backup)
        with connected(name) as scratch:
            told = digests.differences(backup.contents["tables"], digests.of_tables(scratch))
            restored = digests.of_sequences(scratch)
            told += [
                f"{sequence} stands at {restored.get(sequence)}, below {value}"
                for sequence, value in backup.contents["sequences"].items()
                if restored.get(sequence, -1) < value
            ]
    if told:
        raise BackupError(f"restored, but not the same: {'; '.join(told[:5])}")
    backup.verify(system_clock().now())
    backup.save()


def restore_into(name: str, backup: Backup, *arguments: str) -> None:
    """Restore a dump into an empty database of this server."""
    options = ["--exit-on-error", "--no-owner", "--no-privileges", f"--dbname={conninfo(name)}"]
    run("pg_restore", [*options, *arguments, str(backup.file)])


def verify_again(backup: Backup, *, actor: Actor) -> Backup:
    """Try a backup once more, as on the day one would need it. Failed if it cannot be restored any more."""
    with only_one() as connection:
        backup.refresh_from_db()
        try:
            if backup.kind == Backup.Kind.LEGACY:
                archive.prove(backup)
            else:
                restore_and_compare(connection, backup)
        except (BackupError, OSError, psycopg.Error) as error:
            backup.fail(str(error).strip() or repr(error))
            backup.save()
    keep_record(backup, actor)
    return backup
