"""What people order of sync, and what a restore does."""

import time
from datetime import timedelta

import structlog
from kombu.exceptions import OperationalError

from migration.actors import Actor
from migration.clock import system_clock
from migration.models import SyncRun
from migration.syncing import runs

log = structlog.get_logger(__name__)

#: how long one that somebody else works at is waited for
PATIENCE = timedelta(seconds=60)
_ASK_AGAIN_SECONDS = 0.2


def full_sync(actor: Actor) -> SyncRun:
    """Ask for a full sync and hand it to a worker. Where none takes it, the process of sync does with its next look."""
    from migration.tasks import full_sync as task  # the task imports the use cases

    run = runs.request(actor)
    try:
        task.delay(run.pk)
    except OperationalError as error:
        log.warning("sync.run_waits_for_broker", run=run.pk, error=str(error))
    return run


def full_sync_now(actor: Actor) -> SyncRun:
    """Do a full sync here, and return when it is over.

    One that was begun before has looked at rows of another time: it is finished, and a new one done. Returned while
    still running only if somebody else is at it for longer than PATIENCE.
    """
    asked_at = system_clock().now()
    while True:
        run = runs.work(runs.request(actor).pk)
        is_over = run.state != SyncRun.State.RUNNING
        if (is_over and run.started_at >= asked_at) or system_clock().now() - asked_at > PATIENCE:
            return run
        if not is_over:
            time.sleep(_ASK_AGAIN_SECONDS)
