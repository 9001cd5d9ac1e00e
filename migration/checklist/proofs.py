"""What must have been tried before anybody counts on it: the backup, the way back, and the audit log."""

from datetime import timedelta

from migration import audit, backups, rehearsing
from migration.checklist.registry import Finding, check, holds, not_needed, unknown
from migration.clock import system_clock
from migration.models import AuditEntry, Backup
from migration.rules.voting import Role

BACKUP_FRESH = timedelta(hours=24)


@check(
    "backup",
    "A backup was made and restored within 24 h",
    Role.INFRASTRUCTURE,
    "Run manage.py back_up, or press “Back up now” on the page of backups, and mend what it says.",
)
def backup() -> Finding:
    """The newest one that was restored beside the database and compared, row by row."""
    latest = backups.latest_verified()
    failed = Backup.objects.filter(kind=Backup.Kind.DATABASE).first()
    if failed and failed.state == Backup.State.FAILED and (latest is None or failed.pk > latest.pk):
        return holds(False, f"backup {failed.pk} failed: {failed.failure}", backup=failed.pk)
    if latest is None:
        return unknown("no backup was restored and compared yet")
    age = system_clock().now() - latest.begun_at
    told = f"backup {latest.pk}, {age.total_seconds() / 3600:.1f} h old: {latest.rows or 0:,} rows restored and equal"
    without = f", without {len(latest.left_out)} days of raw heartbeats (BACKUP_RAW_DAYS)" if latest.left_out else ""
    return holds(age <= BACKUP_FRESH, told + without, backup=latest.pk, age_seconds=round(age.total_seconds()))


@check(
    "rehearsal",
    "The way back was rehearsed",
    Role.ON_CALL,
    "Press “Rehearse now” on the page of rollbacks, mend what it says, and run this again. Worker and beat rehearse "
    "every REHEARSAL_SECONDS by themselves.",
    every=timedelta(seconds=10),
)
def rehearsal() -> Finding:
    """The latest rehearsals, as steps forward are judged by them."""
    found = rehearsing.proof()
    figures = {"age_seconds": found.age_seconds, "seconds": found.seconds, "robot": found.robot_id}
    if found.is_waived:
        return not_needed(found.sentence, **figures)
    if found.age_seconds is None and not found.failure:
        return unknown(found.sentence, **figures)
    return holds(found.is_fresh, found.sentence, **figures)


@check(
    "audit",
    "The audit log is whole",
    Role.QA,
    "Run manage.py audit_verify: it names the entries. Keep the database as it is until somebody has looked.",
    every=timedelta(minutes=5),
)
def audit_log() -> Finding:
    """Its hash chain, up to the head that is anchored outside the database."""
    complaints = audit.verify()
    told = f"{AuditEntry.objects.count():,} entries, the chain is whole"
    return holds(not complaints, "; ".join(complaints[:3]) or told, complaints=complaints[:20])
