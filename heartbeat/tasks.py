"""Celery tasks: each calls one use case."""

from datetime import UTC, datetime

import structlog
from celery import shared_task

from heartbeat.errors import HistoryBusy
from heartbeat.history import keeping

log = structlog.get_logger(__name__)


@shared_task(name="heartbeat.keep_up_history", expires=50)
def keep_up_history() -> None:
    """Partitions ahead and the rollups of closed minutes."""
    try:
        with keeping.keeper() as connection:
            keeping.keep_up(connection, datetime.now(UTC))
    except HistoryBusy as busy:
        log.info("history.passed_over", reason=str(busy))


@shared_task(name="heartbeat.keep_history", expires=3000)
def keep_history() -> None:
    """The same, and drop what has served its time."""
    try:
        with keeping.keeper() as connection:
            keeping.keep(connection, datetime.now(UTC))
    except HistoryBusy as busy:
        log.info("history.passed_over", reason=str(busy))
