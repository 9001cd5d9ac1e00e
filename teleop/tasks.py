"""Celery tasks: each calls one use case."""

from datetime import UTC, datetime

import structlog
from celery import shared_task

from heartbeat.errors import HistoryBusy
from heartbeat.history.keeping import keeper
from teleop import keeping

log = structlog.get_logger(__name__)


@shared_task(name="teleop.keep_history", expires=3000)
def keep_history() -> None:
    """Days of signals and measurements to come; what has served its time goes."""
    try:
        with keeper() as connection:
            keeping.keep(connection, datetime.now(UTC))
    except HistoryBusy as busy:
        log.info("operation.passed_over", reason=str(busy))
