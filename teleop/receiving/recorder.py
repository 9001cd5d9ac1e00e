"""Storing signals: whatever gathered while the commit before ran is the next one, by one writer, in order."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg
import structlog

from heartbeat.errors import Unavailable

log = structlog.get_logger(__name__)

_STORE = """
INSERT INTO teleop_signal (robot_key, robot_id, received_at, boot_id, document)
SELECT key, id, clock_timestamp(), boot, document::json
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS given(key, id, boot, document, place)
ORDER BY place
"""
#: signals are worth little when they are old: rather refuse than gather
MOST_WAITING = 20_000
COMMIT_SECONDS = 2.0
RETRY_SECONDS = 0.5
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

Done = Callable[[Unavailable | None], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One signal."""

    robot_key: bytes
    robot_id: str
    boot_id: str
    document: str


class SignalRecorder:
    """Writes through one connection to `dsn`. Only one process may: ids must rise in the order of commits."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: list[tuple[list[Row], Done]] = []
        self._rows = 0
        self._news = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None

    def start(self) -> None:
        """Begin to write."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="signals")

    async def close(self) -> None:
        """Write what waits, and end."""
        if self._task is None:
            return
        task, self._task = self._task, None
        self._closing = True
        self._news.set()
        await asyncio.wait([task], timeout=COMMIT_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if self._connection is not None:
            self._connection.terminate()

    def submit(self, rows: list[Row], done: Done) -> None:
        """Store them together; `done` is called after the commit, or with why there is none."""
        if self._task is None or self._closing or self._rows + len(rows) > MOST_WAITING:
            done(Unavailable("signals cannot be stored now", 1))
            return
        self._waiting.append((rows, done))
        self._rows += len(rows)
        self._news.set()

    async def record(self, rows: list[Row]) -> None:
        """Store them and return after the commit. Raises Unavailable."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(error: Unavailable | None) -> None:
            if not future.done():
                future.set_exception(error) if error else future.set_result(None)

        self.submit(rows, done)
        await future

    async def _run(self) -> None:
        said = ""
        while self._waiting or not self._closing:
            await self._news.wait()
            self._news.clear()
            batch, self._waiting, self._rows = self._waiting, [], 0
            if not batch:
                continue
            try:
                await self._store([row for rows, _ in batch for row in rows])
            except _LOST as error:
                reason = f"{type(error).__name__}: {error}"
                if reason != said:
                    said = reason
                    log.warning("signals.not_stored", reason=reason)
                for _, done in batch:
                    done(Unavailable("signals cannot be stored now", 1))
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                await asyncio.sleep(RETRY_SECONDS)
            else:
                said = ""
                for _, done in batch:
                    done(None)

    async def _store(self, rows: Sequence[Row]) -> None:
        if self._connection is None:
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=COMMIT_SECONDS,
                command_timeout=COMMIT_SECONDS,
                server_settings={"application_name": "signals"},
            )
        columns = ([row.robot_key for row in rows], [row.robot_id for row in rows], [row.boot_id for row in rows])
        await self._connection.execute(_STORE, *columns, [row.document for row in rows])
