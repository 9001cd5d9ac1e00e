"""Celery tasks: each calls one use case."""

from celery import shared_task

from migration import comparing, pulses, shifting
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


@shared_task(name="migration.prove_worker", expires=5)
def prove_worker() -> None:
    """Say that beat schedules and a worker works."""
    pulses.beat("worker")
