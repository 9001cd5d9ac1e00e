"""The connection through which heartbeats are stored, set up for statements that are planned once."""

import asyncpg

from heartbeat.ingest.partitions import make_partitions
from heartbeat.ingest.writer import Writer

CONNECT_TIMEOUT_SECONDS = 2.0


async def connect(dsn: str, application_name: str, longest_seconds: float) -> tuple[asyncpg.Connection, Writer]:
    """A connection whose statements may take `longest_seconds`, and its writer. Raises what asyncpg raises."""
    connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_TIMEOUT_SECONDS,
        server_settings={
            "application_name": application_name,
            "synchronous_commit": "on",
            # The plan does not depend on the values, and planning this statement costs more than running it.
            "plan_cache_mode": "force_generic_plan",
            "jit": "off",
            # That plan is made while the tables may be empty, and then reads all robots for each commit: a table
            # is only ever looked up by key.
            "enable_seqscan": "off",
            "enable_hashjoin": "off",
            # A row somebody locks must not hold the queue up longer than the door waits.
            "statement_timeout": f"{int(longest_seconds * 1000)}ms",
        },
    )
    try:
        await make_partitions(connection)
        writer = Writer(connection)
        await writer.prepare(CONNECT_TIMEOUT_SECONDS)
    except BaseException:
        connection.terminate()
        raise
    return connection, writer
