"""What people order of sync."""

import structlog
from kombu.exceptions import OperationalError

from migration.actors import Actor
from migration.models import SyncRun
from migration.syncing import runs

log = structlog.get_logger(__name__)


def full_sync(actor: Actor) -> SyncRun:
    """Ask for a full sync and hand it to a worker. Where none takes it, the process of sync does with its next look."""
    from migration.tasks import full_sync as task  # the task imports the use cases

    run = runs.request(actor)
    try:
        task.delay(run.pk)
    except OperationalError as error:
        log.warning("sync.run_waits_for_broker", run=run.pk, error=str(error))
    return run
