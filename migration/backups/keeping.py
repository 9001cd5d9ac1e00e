"""Removing backups that nobody needs any more; the rows stay and say so."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings

from migration.backups import files
from migration.models import Backup
from migration.rules.keeping_backups import Kept, may_go

log = structlog.get_logger(__name__)


def remove_old(now: datetime) -> list[int]:
    """Delete the files of backups past `BACKUP_KEEP_DAYS` that retention does not need. Returns their numbers."""
    rows = Backup.objects.exclude(state__in=[Backup.State.MAKING, Backup.State.REMOVED])
    kept = [
        Kept(
            key=backup.pk,
            kind=backup.kind,
            begun_at=backup.begun_at,
            is_verified=backup.state == Backup.State.VERIFIED,
            phase_run=backup.run,
        )
        for backup in rows
    ]
    gone = []
    for number in may_go(kept, now, timedelta(days=settings.BACKUP_KEEP_DAYS)):
        backup = Backup.objects.get(pk=number)
        files.remove(backup.file)
        backup.remove(now)
        backup.save()
        gone.append(backup.pk)
        log.info("backup.removed", backup=backup.pk, begun_at=backup.begun_at.isoformat())
    return gone
