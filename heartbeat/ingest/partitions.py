"""Today's and tomorrow's partition of the log, for a system whose keeper (`heartbeat.history`) has not run."""

from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

log = structlog.get_logger(__name__)

#: somebody who reads the history may hold what a new partition needs: the keeper has more patience than we have here
LOCK_TIMEOUT = "50ms"


async def make_partitions(connection: asyncpg.Connection) -> None:
    """Make the partitions of today and tomorrow where they are missing.

    One that cannot be made is logged and costs nothing more: the default partition takes its heartbeats.
    """
    today = datetime.now(UTC).date()
    for day in (today, today + timedelta(days=1)):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                made = await connection.fetchval("SELECT heartbeat_make_partition($1)", day)
        except asyncpg.PostgresError as error:
            log.warning("recorder.no_partition", day=day.isoformat(), reason=str(error))
        else:
            if made:
                log.info("recorder.partition_made", day=day.isoformat())
