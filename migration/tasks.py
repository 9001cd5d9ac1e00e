"""Celery tasks: each calls one use case."""

from celery import shared_task

from migration import comparing, handing_over, pulses, rehearsing, restoring, shifting
from migration.actors import Actor
from migration.backups import archiving, making, scheduling, verifying
from migration.backups.locking import BackupIsRunning
from migration.checklist import running
from migration.models import Backup
from migration.syncing import runs


@shared_task(name="migration.apply_shift")
def apply_shift(shift_id: int) -> None:
    """Apply a requested shift."""
    shifting.apply(shift_id)


@shared_task(name="migration.compare_rows", expires=10)
def compare_rows() -> None:
    """Compare every row of both systems."""
    comparing.compare()


@shared_task(name="migration.full_sync")
def full_sync(run_id: int) -> None:
    """Work at a full sync that somebody asked for."""
    runs.work(run_id)


@shared_task(name="migration.hand_over_deployments", expires=15)
def hand_over_deployments() -> None:
    """Hand what legacy's API cannot express to the configured command."""
    handing_over.hand_over()


@shared_task(name="migration.prove_worker", expires=5)
def prove_worker() -> None:
    """Say that beat schedules and a worker works."""
    pulses.beat("worker")


@shared_task(name="migration.rehearse_rollback", expires=10)
def rehearse_rollback() -> None:
    """Rehearse the way back if it is time."""
    rehearsing.rehearse_if_due()


@shared_task(name="migration.check_state", expires=10)
def check_state() -> None:
    """Look whether the state follows from the heartbeats."""
    restoring.check_state()


@shared_task(name="migration.keep_base_backup", expires=30)
def keep_base_backup() -> None:
    """Make and verify a base backup if it is time."""
    restoring.keep_base_backup()


@shared_task(name="migration.restore_fleet")
def restore_fleet(restore_id: int) -> None:
    """Restore the fleet's tables."""
    restoring.run(restore_id)


@shared_task(name="migration.back_up_if_due", expires=25)
def back_up_if_due() -> None:
    """Make the backup that is due, if one is, and remove what is too old."""
    scheduling.work()


@shared_task(name="migration.back_up", autoretry_for=(BackupIsRunning,), retry_backoff=5, max_retries=20)
def back_up(kind: str, reason: str, actor: str) -> None:
    """Make the backup that somebody asked for, after the one that is being made."""
    make = making.back_up if kind == Backup.Kind.DATABASE else archiving.archive_legacy
    make(reason, actor=Actor(actor))


@shared_task(name="migration.verify_backup", autoretry_for=(BackupIsRunning,), retry_backoff=5, max_retries=20)
def verify_backup(number: int, actor: str) -> None:
    """Read a backup back again."""
    verifying.verify_again(Backup.objects.get(pk=number), actor=Actor(actor))


@shared_task(name="migration.run_checks", expires=60)
def run_checks(names: list[str], actor: str) -> None:
    """Run the checks that somebody asked for."""
    running.run(names, actor=Actor(actor))


@shared_task(name="migration.run_due_checks", expires=9)
def run_due_checks() -> None:
    """Run the checks that are due while the fleet is in Preparation."""
    running.run_due()
