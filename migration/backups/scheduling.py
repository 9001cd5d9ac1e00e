"""Which backup is due: one of every phase before it is left, and one every few hours."""

from datetime import datetime, timedelta

from django.conf import settings

from migration.actors import Actor
from migration.backups import keeping
from migration.backups.archiving import archive_legacy
from migration.backups.finding import legacy_archive
from migration.backups.locking import BackupIsRunning
from migration.backups.making import back_up
from migration.clock import system_clock
from migration.models import Backup, PhaseRun
from migration.rules.phases import PHASES

SCHEDULE = Actor("schedule")
#: a failed one is tried again after this, real time
TRY_AGAIN = timedelta(minutes=5)


def work() -> list[Backup]:
    """Make what is due and remove what nobody needs any more. For a scheduled task: does nothing most of the time."""
    now = system_clock().now()
    made = []
    try:
        if why := due(now):
            made.append(back_up(why, actor=SCHEDULE))
        if why := archive_due(now):
            made.append(archive_legacy(why, actor=SCHEDULE))
    except BackupIsRunning:
        return made
    keeping.remove_old(now)
    return made


def due(now: datetime) -> str:
    """Why the database should be backed up now; empty when it need not be."""
    databases = Backup.objects.filter(kind=Backup.Kind.DATABASE)
    run = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE).first()
    if _failed_just_now(Backup.Kind.DATABASE, now):
        return ""
    good = databases.filter(state__in=[Backup.State.MAKING, Backup.State.VERIFIED])
    if run and not good.filter(begun_at__gte=run.started_at).exists():
        return f"before leaving {run.phase.name}"
    latest = good.first()
    if latest is None or now - latest.begun_at >= timedelta(hours=settings.BACKUP_EVERY_HOURS):
        return f"every {settings.BACKUP_EVERY_HOURS:g} h"
    return ""


def archive_due(now: datetime) -> str:
    """Why legacy should be archived now: in the last phase, before it is switched off."""
    run = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE, slug=PHASES[-1].slug).first()
    if run is None or legacy_archive(run.started_at) or _failed_just_now(Backup.Kind.LEGACY, now):
        return ""
    return f"before legacy is switched off in {run.phase.name}"


def _failed_just_now(kind: str, now: datetime) -> bool:
    latest = Backup.objects.filter(kind=kind).first()
    return bool(latest and latest.state == Backup.State.FAILED and now - latest.begun_at < TRY_AGAIN)
