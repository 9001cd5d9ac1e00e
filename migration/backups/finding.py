"""Which backup one could go back to now."""

from datetime import datetime, timedelta

from migration.models import Backup, PhaseRun
from migration.rules.sequential import Judgement, Verdict

#: real time at any scale: a backup is evidence
FRESH = timedelta(hours=24)


def latest_verified(kind: str = Backup.Kind.DATABASE) -> Backup | None:
    """The newest backup that was restored and compared, and whose file is still there."""
    verified = Backup.objects.filter(kind=kind, state=Backup.State.VERIFIED).order_by("-begun_at")
    return next((backup for backup in verified if backup.file.is_file()), None)


def legacy_archive(since: datetime | None = None) -> Backup | None:
    """The newest archive of legacy that was read back, if it was made after `since`."""
    archive = latest_verified(Backup.Kind.LEGACY)
    return archive if archive and (since is None or archive.begun_at >= since) else None


def before_leaving(run: PhaseRun, now: datetime) -> Judgement:
    """Is there a backup of this phase to come back to, restored and compared within a day?"""
    latest = latest_verified()
    if latest is None or latest.begun_at < run.started_at:
        failed = Backup.objects.filter(kind=Backup.Kind.DATABASE, begun_at__gte=run.started_at).first()
        if failed and failed.state == Backup.State.FAILED:
            return Judgement(Verdict.FAIL, f"backup {failed.pk} failed: {failed.failure}")
        return Judgement(Verdict.INCONCLUSIVE, f"no backup of {run.phase.name} was restored and compared yet")
    if now - latest.begun_at > FRESH:
        return Judgement(Verdict.INCONCLUSIVE, f"backup {latest.pk} is older than {FRESH.total_seconds() / 3600:.0f} h")
    return Judgement(Verdict.PASS, f"backup {latest.pk}: {latest.rows or 0:,} rows restored and compared")
