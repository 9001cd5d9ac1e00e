"""The connections through which heartbeats are stored, set up for statements that are planned once."""

from collections.abc import Callable
from dataclasses import dataclass

import asyncpg

from heartbeat.ingest.partitions import make_partitions
from heartbeat.ingest.pipeline import Pipeline
from heartbeat.ingest.writer import Writer

CONNECT_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Session:
    """One connection for what has to be asked, and one for what need not; without either, both are of no use."""

    connection: asyncpg.Connection
    pipeline: Pipeline
    writer: Writer

    @property
    def is_closed(self) -> bool:
        """Whether one of them ended."""
        return self.connection.is_closed() or self.pipeline.is_closed

    def terminate(self) -> None:
        """End both at once."""
        self.connection.terminate()
        self.pipeline.close()


async def connect(
    dsn: str, application_name: str, longest_seconds: float, lost: Callable[[], None] = lambda: None
) -> Session:
    """A session whose statements may take `longest_seconds`; `lost` is called when a connection of it ends.

    Raises what asyncpg raises, OSError or StatementFailed.
    """
    settings = {
        "application_name": application_name,
        "synchronous_commit": "on",
        # The plan does not depend on the values, and planning this statement costs more than running it.
        "plan_cache_mode": "force_generic_plan",
        "jit": "off",
        # That plan is made while the tables may be empty, and then reads all robots for each commit: a table is only
        # ever looked up by key.
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        # A row somebody locks must not hold the queue up longer than the door waits.
        "statement_timeout": f"{int(longest_seconds * 1000)}ms",
    }
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS, server_settings=settings)
    pipeline: Pipeline | None = None
    try:
        connection.add_termination_listener(lambda _: lost())
        await make_partitions(connection)
        pipeline = await Pipeline.connect(dsn, settings, seconds=CONNECT_TIMEOUT_SECONDS, lost=lost)
        writer = Writer(connection, pipeline)
        await writer.prepare(CONNECT_TIMEOUT_SECONDS)
    except BaseException:
        connection.terminate()
        if pipeline is not None:
            pipeline.close()
        raise
    return Session(connection, pipeline, writer)
