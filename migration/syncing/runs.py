"""A full sync from the first row to the last: by command, by page, by a worker, or at the first start of sync."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from migration import audit, routing
from migration.actors import Actor
from migration.clock import system_clock
from migration.models import SyncRun
from migration.rules.syncing import Verdict
from migration.syncing.applying import Candidate, apply, row_key
from migration.syncing.forward import candidates_of
from migration.syncing.source import SILENT, LegacySource, NotLegacy, Reading
from migration.syncing.tuning import wishes

log = structlog.get_logger(__name__)

#: one works at a run at a time; the lock goes with its connection, so a killed worker blocks nobody
_LOCK = 0x73796E63


def request(actor: Actor) -> SyncRun:
    """Ask for a full sync. While one runs, that one is returned."""
    now = system_clock().now()
    try:
        with transaction.atomic():
            run = SyncRun.objects.create(asked_by=actor.name, started_at=now, progress_at=now)
            audit.record(actor, "sync.run", f"asked for a full sync (run {run.pk})", at=now, detail={"run": run.pk})
            return run
    except IntegrityError:
        return SyncRun.objects.get(state=SyncRun.State.RUNNING)


def work(run_id: int, *, batch_size: int | None = None, alive: Callable[[], None] = lambda: None) -> SyncRun:
    """Do what is left of a run, unless somebody else is at it. Safe to call again after a kill at any point."""
    with _alone(run_id) as is_mine:
        run = SyncRun.objects.get(pk=run_id)
        if not is_mine or run.state != SyncRun.State.RUNNING:
            return run
        if run.done or run.cursor:
            run.resumed += 1
        source = LegacySource(settings.LEGACY_URL, alive)
        try:
            _work(run, source.rows(), batch_size or wishes().batch_size, alive)
        except (*SILENT, NotLegacy) as error:
            run.fail(f"legacy could not be read: {str(error) or type(error).__name__}", system_clock().now())
            log.warning("sync.run_failed", run=run.pk, reason=run.failure)
        finally:
            source.close()
        run.save()
    return run


def waiting() -> SyncRun | None:
    """The run that is not over, if there is one."""
    return SyncRun.objects.filter(state=SyncRun.State.RUNNING).first()


def is_first() -> bool:
    """Whether no full sync was ever done."""
    return not SyncRun.objects.filter(state=SyncRun.State.DONE).exists()


def _work(run: SyncRun, reading: Reading, batch_size: int, alive: Callable[[], None]) -> None:
    clock = system_clock()
    candidates = candidates_of(reading, list(reading.rows), clock.now())
    quarantined = len(reading.rows) - len(candidates)
    ordered = sorted(candidates, key=row_key)
    if run.cursor is not None:
        behind = bytes(run.cursor)
        ordered = [one for one in ordered if row_key(one) > behind]
    plan = routing.route_file().read().plan
    rows = len(candidates)
    for batch in _batches(ordered, batch_size):
        applied = apply(batch, plan, read_at=reading.began_at, now=clock.now())
        run.advance(
            rows=rows,
            cursor=row_key(batch[-1]),
            done=len(batch),
            taken_over=applied.counts[Verdict.TAKE],
            quarantined=0,
            at=clock.now(),
        )
        run.save()
        alive()
    run.rows, run.quarantined = rows, quarantined
    run.complete(clock.now())
    log.info("sync.run_done", run=run.pk, rows=rows, taken_over=run.taken_over, quarantined=quarantined)


def _batches(candidates: list[Candidate], size: int) -> Iterator[list[Candidate]]:
    return (candidates[start : start + size] for start in range(0, len(candidates), size))


@contextmanager
def _alone(run_id: int) -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, run_id])
        is_mine = bool(cursor.fetchone()[0])
    try:
        yield is_mine
    finally:
        if is_mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, run_id])
