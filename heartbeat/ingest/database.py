"""Reads of the processes that answer without Django: a small pool that never hangs and comes back by itself."""

import asyncio
import random
from typing import Any

import asyncpg

from heartbeat.errors import Unavailable

READ_TIMEOUT_SECONDS = 2.0
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Database:
    """At most `most_connections` connections to `dsn`, opened when they are needed."""

    def __init__(self, dsn: str, *, most_connections: int = 4, timeout_seconds: float = READ_TIMEOUT_SECONDS) -> None:
        self._dsn = dsn
        self._most_connections = most_connections
        self._timeout_seconds = timeout_seconds
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one statement, which is one transaction, and return its rows. Raises Unavailable."""
        try:
            pool = await self._opened()
            connection = await pool.acquire(timeout=self._timeout_seconds)
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    return await connection.fetch(sql, *arguments)
            except BaseException:
                # Releasing a connection that hangs would wait for it; a new one is opened instead.
                connection.terminate()
                raise
            finally:
                await pool.release(connection)
        except _LOST as error:
            reason = f"the database did not answer ({type(error).__name__})"
            raise Unavailable(reason, random.randint(1, 3)) from error

    async def close(self) -> None:
        """Drop the connections."""
        if self._pool:
            self._pool.terminate()
            self._pool = None

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                # Connections are made when asked for: the database may come up after us.
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=0,
                    max_size=self._most_connections,
                    timeout=self._timeout_seconds,
                    max_inactive_connection_lifetime=60,
                    server_settings={"application_name": "reads"},
                )
            return self._pool
