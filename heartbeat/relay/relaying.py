"""The relay: every v2 heartbeat that `new` accepted is told to legacy in legacy's words, whoever owns the robot.

It tails the log, so ingest does nothing for it. What it did is stored with the cursor in one transaction: after a kill
at any point the next relay goes on there, and tells legacy again at most what was finished since the last store.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime

import asyncpg
import structlog

from heartbeat.relay import keeping
from heartbeat.relay import log as the_log
from heartbeat.relay.legacy import Legacy, Said
from heartbeat.rules.relaying import Limits, Outcome, Window

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.1
KEEP_SECONDS = 0.25
READ_AT_ONCE = 1_000
#: how long another relay's lock, or a lost database, is waited for before the next try
RETRY_SECONDS = 0.5
TIMEOUT_SECONDS = 5.0

_NOT_TOLD = (Outcome.TOO_OLD, Outcome.REFUSED, Outcome.FAILED)
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def relay(dsn: str, legacy_url: str, stop: asyncio.Event, limits: Limits | None = None) -> None:
    """Relay until `stop` is set, through lost databases and a silent legacy."""
    standing_by = False
    log.info("relay.started", legacy=legacy_url)
    while not stop.is_set():
        try:
            async with _connected(dsn) as connection:
                if await keeping.become_the_relay(connection):
                    standing_by = False
                    await _as_the_relay(connection, legacy_url, stop, limits or Limits())
                elif not standing_by:
                    standing_by = True
                    log.info("relay.standing_by")
        except _LOST as error:
            log.warning("relay.database_lost", error=f"{type(error).__name__}: {error}")
        await _wait(stop.wait(), RETRY_SECONDS)
    log.info("relay.stopped")


async def _as_the_relay(connection: asyncpg.Connection, legacy_url: str, stop: asyncio.Event, limits: Limits) -> None:
    cursor, skipped = await keeping.open_cursor(connection, datetime.now(UTC), limits.too_old_seconds)
    window = Window(limits, await keeping.latest(connection))
    log.info("relay.relaying", cursor=cursor.isoformat(), skipped=skipped)
    async with Legacy(legacy_url) as legacy:
        await _Relay(connection, window, legacy, cursor).run(stop)


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        dsn, timeout=TIMEOUT_SECONDS, command_timeout=TIMEOUT_SECONDS, server_settings={"application_name": "relay"}
    )
    try:
        yield connection
    finally:
        connection.terminate()


class _Relay:
    """One stay as the relay: a connection that holds the lock, what was read, and legacy."""

    def __init__(self, connection: asyncpg.Connection, window: Window, legacy: Legacy, cursor: datetime) -> None:
        self.connection = connection
        self.window = window
        self.legacy = legacy
        self.cursor = cursor
        self._news = asyncio.Event()
        self._ending = False

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until told to stop. Raises what the database raises; then nothing of the last moment was stored."""
        senders = [asyncio.create_task(self._send()) for _ in range(self.legacy.connections)]
        try:
            await self._tail(stop, senders)
            self._ending = True
            self._news.set()
            await asyncio.wait(senders, timeout=TIMEOUT_SECONDS)
        finally:
            for task in senders:
                task.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
        await self._keep()

    async def _tail(self, stop: asyncio.Event, senders: Sequence[asyncio.Task[None]]) -> None:
        loop = asyncio.get_running_loop()
        keep_at = loop.time()
        while not stop.is_set():
            for task in senders:
                if task.done():
                    task.result()  # raises what ended it
            found = await self._read()
            if self.legacy.silent_since is not None:
                self.window.expire(datetime.now(UTC))
            if loop.time() >= keep_at:
                await self._keep()
                keep_at = loop.time() + KEEP_SECONDS
            if found < READ_AT_ONCE:
                await _wait(stop.wait(), LOOK_SECONDS)

    async def _read(self) -> int:
        most = min(READ_AT_ONCE, self.window.room)
        items = await the_log.read(self.connection, self.cursor, most) if most > 0 else []
        if items:
            self.cursor = items[-1].received_at
            self.window.extend(items)
            self._news.set()
        return len(items)

    async def _keep(self) -> None:
        finished = self.window.take_finished()
        lag = self.window.lag_seconds(datetime.now(UTC))
        silent = self.legacy.silent_since
        await keeping.keep(self.connection, finished, waiting=len(self.window), lag_seconds=lag, silent_since=silent)
        if lost := {outcome.value: finished.counts[outcome] for outcome in _NOT_TOLD if finished.counts[outcome]}:
            log.warning("relay.not_told", **lost)

    async def _send(self) -> None:
        """One of the senders: takes what is next, tells legacy, settles it."""
        while not self._ending:
            if self.window.ready:
                async with self.legacy.turn():
                    await self._send_next()
            else:
                self._news.clear()
                await self._news.wait()

    async def _send_next(self) -> None:
        item = self.window.next(datetime.now(UTC), silent=self.legacy.silent_since is not None)
        if item is None:
            return
        said = await self.legacy.tell(item)
        if said is Said.TAKEN:
            self.window.settle(item, Outcome.RELAYED)
        elif said is Said.REFUSED:
            log.warning("relay.refused", robot=item.body["robot_id"][:128])
            self.window.settle(item, Outcome.REFUSED)
        else:
            self.window.put_back(item)
        if self.window.ready:
            self._news.set()


async def _wait(what: Awaitable[object], seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await what
